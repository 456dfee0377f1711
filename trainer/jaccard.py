"""k-reciprocal Jaccard similarity (Zhong et al. 2017), sparse from end to end.

The one step that is neither a matrix product nor an elementwise operation, the sum of minima over shared neighbours,
is compiled with numba: expanded into arrays it costs gigabytes and ten times the time.
"""

from __future__ import annotations

import numba
import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from trainer.neighbours import nearest_neighbours

UNIT = 1 << 30  # weights are whole multiples of 1 / UNIT: their sums do not depend on the order of adding
BUDGET = 1 << 24


def jaccard_from_features(features: Tensor, k1: int, k2: int, at_least: float) -> sparse.csr_array:
    """Jaccard similarities of at least `at_least`, from features (N, d) float32 of unit length."""
    size = len(features)
    k1 = min(k1, size)
    half = min(int(np.around(k1 / 2)) + 1, k1)
    neighbours = nearest_neighbours(features, k1).cpu().numpy()
    weights = _weights(features, _expanded(_reciprocal(neighbours), _reciprocal(neighbours[:, :half])))
    if k2 > 1:
        nearest = _rows(neighbours[:, : min(k2, k1)])
        weights = nearest @ weights
        weights.data /= min(k2, k1)
    units = np.rint(weights.data.astype(np.float64) * UNIT).astype(np.int32)
    return _overlaps(sparse.csr_array((units, weights.indices, weights.indptr), shape=weights.shape), at_least)


def _rows(neighbours: np.ndarray) -> sparse.csr_array:
    """Write neighbour lists (N, k) as a matrix with a 1 for each neighbour, columns sorted."""
    size, k = neighbours.shape
    indptr = np.arange(0, size * k + 1, k, dtype=np.int64)
    columns = np.sort(neighbours, axis=1).ravel().astype(np.int32)
    return sparse.csr_array((np.ones(size * k, np.float32), columns, indptr), shape=(size, size))


def _reciprocal(neighbours: np.ndarray) -> sparse.csr_array:
    """Keep the pairs that are in each other's list."""
    forward = _rows(neighbours)
    return forward.multiply(forward.T.tocsr()).tocsr()


def _expanded(reciprocal: sparse.csr_array, half: sparse.csr_array) -> sparse.csr_array:
    """Add to each set the half-sized sets of those members for which more than two thirds lie in the set already."""
    shared = reciprocal.multiply(reciprocal @ half.T).tocsr()
    members = np.diff(half.indptr)[shared.indices]
    shared.data = (3 * shared.data > 2 * members).astype(np.float32)
    shared.eliminate_zeros()
    return (reciprocal + shared @ half).tocsr()


def _weights(features: Tensor, pattern: sparse.csr_array) -> sparse.csr_array:
    """Softmax, over each row of the pattern, of minus the squared distance of its pairs."""
    indptr = pattern.indptr.astype(np.int64)
    where = torch.sparse_csr_tensor(
        torch.from_numpy(indptr),
        torch.from_numpy(pattern.indices.astype(np.int64)),
        torch.zeros(pattern.nnz),
        size=pattern.shape,
    )
    cosine = torch.sparse.sampled_addmm(where, features, features.T, beta=0.0).values().numpy()
    exponential = np.exp(2 * cosine - 2)
    total = np.add.reduceat(exponential, indptr[:-1]) if len(indptr) > 1 else exponential
    return sparse.csr_array((exponential / np.repeat(total, np.diff(indptr)), pattern.indices, indptr), pattern.shape)


def _overlaps(weights: sparse.csr_array, at_least: float) -> sparse.csr_array:
    """Jaccard similarity m / (2 - m) of all pairs of rows, m the sum of their minima, from multiples of 1 / UNIT."""
    size = weights.shape[0]
    columns = weights.tocsc()
    columns.sort_indices()
    bound = np.minimum(
        np.add.reduceat(np.append(np.diff(columns.indptr)[weights.indices], 0), weights.indptr[:-1]), size
    )
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    start = 0
    while start < size:
        ends = np.cumsum(bound[start:])
        stop = start + max(1, int(np.searchsorted(ends, BUDGET, side="right")))
        places = np.concatenate(([0], ends[: stop - start]))
        found = np.empty(places[-1], np.int32)
        overlap = np.empty(places[-1], np.int32)
        counts = np.zeros(stop - start, np.int64)
        _sum_minima(
            weights.indptr,
            weights.indices,
            weights.data,
            columns.indptr,
            columns.indices,
            columns.data,
            start,
            stop,
            places,
            found,
            overlap,
            counts,
            size,
            numba.get_num_threads(),
        )
        keep = np.repeat(places[:-1], counts) + _ranges(counts)
        row = np.repeat(np.arange(start, stop, dtype=np.int32), counts)
        m = overlap[keep] / UNIT
        similarity = np.minimum(m / (2 - m), 1).astype(np.float32)
        enough = similarity >= at_least
        parts.append((row[enough], found[keep][enough], similarity[enough]))
        start = stop
    row, column, value = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    upper = sparse.coo_array((value, (row, column)), shape=(size, size)).tocsr()
    return (upper + upper.T + sparse.eye_array(size, dtype=np.float32, format="csr")).tocsr()


def _ranges(counts: np.ndarray) -> np.ndarray:
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)


@numba.njit(parallel=True, cache=True)
def _sum_minima(
    ip: np.ndarray,
    ix: np.ndarray,
    w: np.ndarray,
    cp: np.ndarray,
    cx: np.ndarray,
    cw: np.ndarray,
    start: int,
    stop: int,
    places: np.ndarray,
    found: np.ndarray,
    overlap: np.ndarray,
    counts: np.ndarray,
    size: int,
    threads: int,
) -> None:
    for t in numba.prange(threads):
        total = np.zeros(size, np.int32)
        for i in range(start + t, stop, threads):
            begin = places[i - start]
            n = 0
            for a in range(ip[i], ip[i + 1]):
                k = ix[a]
                mine = w[a]
                low, high = cp[k], cp[k + 1]
                s = low + np.searchsorted(cx[low:high], i, side="right")
                for b in range(s, high):
                    j = cx[b]
                    if total[j] == 0:
                        found[begin + n] = j
                        n += 1
                    total[j] += min(mine, cw[b])
            for p in range(begin, begin + n):
                overlap[p] = total[found[p]]
                total[found[p]] = 0
            counts[i - start] = n
