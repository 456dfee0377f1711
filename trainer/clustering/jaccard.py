"""k-reciprocal Jaccard similarity (Zhong et al. 2017, as Cluster Contrast computes it), sparse from end to end."""

from __future__ import annotations

from collections.abc import Iterator

import numba
import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from trainer.clustering.neighbours import compiled_threads, similarities

# Weights become whole multiples of 1 / UNIT, whose sums do not depend on the order in which they are added; rows sum to
# 1, so that 32 bits hold every sum.
UNIT = 1 << 30
# Pairs held at a time while minima are summed: some 128 MiB.
BLOCK = 1 << 22


def graph(features: Tensor, neighbours: np.ndarray, k1: int, k2: int, farthest: float) -> sparse.csr_array:
    """Return the pairs of photos at a Jaccard distance of at most `farthest`, with their similarity, 1 - distance.

    With N(i, k) the k nearest of i, and R(i, k) those of them that have i among their own k nearest:
    R*(i) is R(i, k1) and each R(j, k1 / 2), for j in R(i, k1), of which more than two thirds are in R(i, k1) too;
    V(i) is softmax(-|x_i - x_j|^2) over j in R*(i), then its mean over N(i, k2);
    the similarity is m / (2 - m), where m sums min(V(i), V(j)): the two sum to 1 each, so 2 - m sums their maxima.

    Args:
        features: (N, d) float32, as `neighbours.on_exact_steps` gives them.
        neighbours: (N, min(k1, N)) int64, the nearest first, each photo its own first.
        k1: size of the neighbourhood, the photo itself counted; above N it means N.
        k2: photos whose weights are averaged, the photo itself counted; above N it means N, and 1 takes no mean.
        farthest: in [0, 1]; of pairs at distance 1 none is stored.

    Returns:
        (N, N) float32, symmetric, indices sorted, 1 on the diagonal.
    """
    half = min(int(np.around(k1 / 2)) + 1, k1)
    members = _expanded(_reciprocal(neighbours), _reciprocal(neighbours[:, :half]))
    weights = _weights(features, members)
    if k2 > 1:
        nearest = _matrix(neighbours[:, :k2])
        weights = nearest @ weights
        weights.data /= min(neighbours.shape[1], k2)
    return _overlap(weights, farthest)


def _matrix(neighbours: np.ndarray) -> sparse.csr_array:
    """Write lists (N, k) as a matrix (N, N) with a 1 for each member, columns sorted."""
    size, k = neighbours.shape
    columns = np.sort(neighbours, axis=1).astype(np.int32).ravel()
    rows = np.arange(size + 1) * k
    return sparse.csr_array((np.ones(size * k, np.float32), columns, rows), shape=(size, size))


def _reciprocal(neighbours: np.ndarray) -> sparse.csr_array:
    """Keep the pairs that are in each other's list."""
    forward = _matrix(neighbours)
    return forward.multiply(forward.T.tocsr()).tocsr()


def _expanded(reciprocal: sparse.csr_array, half: sparse.csr_array) -> sparse.csr_array:
    """Add to each set the half-sized sets of those of its members that share more than two thirds with it."""
    shared = reciprocal.multiply(reciprocal @ half.T).tocsr()
    sizes = np.diff(half.indptr)[shared.indices]
    shared.data = (3 * shared.data > 2 * sizes).astype(np.float32)
    shared.eliminate_zeros()
    return (reciprocal + shared @ half).tocsr()


def _weights(features: Tensor, members: sparse.csr_array) -> sparse.csr_array:
    """Take the softmax, over the members of each row, of minus the squared distance of unit features."""
    row = np.repeat(np.arange(len(features)), np.diff(members.indptr))
    pairs = (torch.from_numpy(index.astype(np.int64)).to(features.device) for index in (row, members.indices))
    weight = np.exp(2 * similarities(features, *pairs).cpu().numpy() - 2)
    weight /= np.bincount(row, weight, len(features))[row]
    return sparse.csr_array((weight.astype(np.float32), members.indices, members.indptr), shape=members.shape)


def _overlap(weights: sparse.csr_array, farthest: float) -> sparse.csr_array:
    """Return the Jaccard similarity of pairs of rows that sum to 1, of those at most `farthest` apart."""
    size = weights.shape[0]
    weights.data = np.maximum(np.rint(weights.data * UNIT), 1).astype(np.int32)
    by_row, by_column = _arrays(weights), _arrays(weights.tocsc())
    most = np.minimum(np.add.reduceat(np.diff(by_column[0])[by_row[1]], by_row[0][:-1]), size)
    rows, columns, values = [np.empty(0, np.int32)], [np.empty(0, np.int32)], [np.empty(0, np.float32)]
    for start, stop in _blocks(most):
        place = np.concatenate([[0], most[start:stop].cumsum()])
        column, value = np.empty(place[-1], np.int32), np.empty(place[-1], np.float32)
        count = np.empty(stop - start, np.int64)
        with compiled_threads(int(place[-1])) as threads:
            _sum_minima(*by_row, *by_column, start, place, column, value, count, np.float32(farthest), threads)
        filled = np.arange(count.sum()) + np.repeat(place[:-1] - (count.cumsum() - count), count)
        rows.append(np.repeat(np.arange(start, stop, dtype=np.int32), count))
        columns.append(column[filled])
        values.append(value[filled])
    upper = sparse.coo_array(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=(size, size)
    )
    upper = upper.tocsr()
    return (upper + upper.T + sparse.eye_array(size, dtype=np.float32, format="csr")).tocsr()


def _arrays(matrix: sparse.csr_array | sparse.csc_array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    matrix.sort_indices()
    return matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), matrix.data


def _blocks(most: np.ndarray) -> Iterator[tuple[int, int]]:
    """Cut rows with at most so many pairs each into ranges of at most BLOCK pairs, or of one row."""
    total = np.concatenate([[0], most.cumsum()])
    start = 0
    while start < len(most):
        stop = max(start + 1, int(np.searchsorted(total, total[start] + BLOCK, side="right")) - 1)
        yield start, stop
        start = stop


@numba.njit(parallel=True, cache=True)
def _sum_minima(
    row_start: np.ndarray,
    row_column: np.ndarray,
    row_units: np.ndarray,
    column_start: np.ndarray,
    column_row: np.ndarray,
    column_units: np.ndarray,
    first: int,
    place: np.ndarray,
    column: np.ndarray,
    value: np.ndarray,
    count: np.ndarray,
    farthest: np.float32,
    threads: int,
) -> None:
    """Write, from place[r] on, the columns j > i and similarities of row i = first + r, and how many they are.

    Compiled, because it is neither a product of matrices nor elementwise: with arrays alone each of some 10^4 terms a
    photo would pass through memory several times.
    """
    for thread in numba.prange(threads):
        shared = np.zeros(len(row_start) - 1, np.int32)
        for r in range(thread, len(count), threads):
            i = first + r
            begin = place[r]
            met = begin
            for a in range(row_start[i], row_start[i + 1]):
                k = row_column[a]
                low, high = column_start[k], column_start[k + 1]
                low += np.searchsorted(column_row[low:high], i, side="right")
                for b in range(low, high):
                    j = column_row[b]
                    if shared[j] == 0:
                        column[met] = j
                        met += 1
                    shared[j] += min(row_units[a], column_units[b])
            kept = begin
            for p in range(begin, met):
                j = column[p]
                m = shared[j] / UNIT
                shared[j] = 0
                similarity = np.float32(min(m / (2 - m), 1.0))
                if np.float32(1) - similarity <= farthest:
                    column[kept] = j
                    value[kept] = similarity
                    kept += 1
            count[r] = kept - begin
