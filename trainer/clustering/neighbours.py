"""Nearest neighbours by cosine similarity: exact, and the same to the bit whatever computes them.

The similarity of two photos is the dot product of their features, each number rounded to a multiple of 2^-26 (which
moves it by less than 1e-8). Products are then multiples of 2^-52 and their sums stay below 2, so that float64 adds them
without rounding, in any order, on any number of threads, on any device.

The search for the k largest is a blocked matrix product in a coarser, faster number format, of which a few more than k
are kept and compared exactly. A bound on the format's error says for which photos no other could be among the k: a
certificate. Photos without one are searched again in the next finer format, and last in float64, which is exact.

In the coarse format each photo is compared with all others less their mean: that takes the same from all similarities
of a photo, so none changes its place, and where all photos are alike (a mean cosine of 0.8, say) the format's digits
are spent on what tells them apart.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numba
import numpy as np
import torch
from torch import Tensor

from data.runtime.progress import progress

# Sums below 2 of multiples of STEP^2 take 53 bits, which is what float64 holds.
STEP = 2.0**-26
# Candidates beyond k, found by trying: seldom too few for a certificate, and cheap to compare exactly.
SPARE = 32
# Similarities of which only the largest takes part in the first pass of the selection, found by trying.
GROUP = 16
# Photos searched at a time: enough for a fast product, found by trying.
ROWS = 512
# Similarities held at a time, at most: 256 MiB in float32.
BLOCK = 1 << 26
# Products that a thread must have to add to be worth waking, found by trying: about a millisecond's work.
OPERATIONS = 1 << 22


def on_exact_steps(features: Tensor) -> Tensor:
    """Round features (N, d), of numbers in [-1, 1], to float32 multiples of 2^-26."""
    return (features.float() / STEP).round_().mul_(STEP).contiguous()


def similarities(features: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Return the exact dot products of pairs of features.

    Compiled with numba on a CPU: what torch offers gathers all pairs of features first, and takes ten times as long.

    Args:
        features: (N, d) float32, as `on_exact_steps` gives them.
        row: (pairs,) int64, on the device of the features.
        column: (pairs,) int64, the other photo of each pair.

    Returns:
        (pairs,) float64.
    """
    if features.device.type == "cpu":
        product = torch.empty(len(row), dtype=torch.float64)
        with compiled_threads(len(row) * features.shape[1]) as threads:
            _dot(features.numpy(), row.numpy(), column.numpy(), product.numpy(), threads)
        return product
    product = torch.empty(len(row), dtype=torch.float64, device=features.device)
    step = max(1, BLOCK // (4 * features.shape[1]))
    for start in range(0, len(row), step):
        part = slice(start, start + step)
        product[part] = (features[row[part]].double() * features[column[part]].double()).sum(dim=1)
    return product


@contextmanager
def compiled_threads(operations: int) -> Iterator[int]:
    """Let compiled code run on as many threads as torch does, fewer for little work; yield how many.

    Numba and torch may share OpenMP, and numba sets its number of threads: torch's is put back at the end.
    """
    before = torch.get_num_threads()
    threads = min(before, _most_threads(), 1 + operations // OPERATIONS)
    numba.set_num_threads(threads)
    try:
        yield threads
    finally:
        torch.set_num_threads(before)


@functools.cache
def _most_threads() -> int:
    return int(numba.get_num_threads())


def nearest_neighbours(features: Tensor, k: int) -> Tensor:
    """Return the k most similar photos of each photo, itself among them, the most similar first.

    Args:
        features: (N, d) float32, as `on_exact_steps` gives them, on any device.
        k: from 1 to N.

    Returns:
        (N, k) int64 on the CPU. Of equal similarities the nearer index comes first, so that a photo is its own first
        neighbour and more than k equal photos are each other's neighbours in a chain; then the lower.
    """
    size = len(features)
    found = torch.empty(size, k, dtype=torch.int64)
    left = torch.arange(size, device=features.device)
    with torch.no_grad(), torch.autocast(features.device.type, enabled=False), _full_precision():
        for form in _formats(features, k):
            left = _search(features, form, left, k, found)
        if len(left):
            search_exactly(features, left, k, found)
    return found


@dataclass(frozen=True)
class _Format:
    """Features less `mean` (d,) in a number format, which features in that format are multiplied with.

    `error` (N,) bounds how far off a photo's products are, before a relative `rounding`.
    """

    features: Tensor
    mean: Tensor
    error: Tensor
    rounding: float


def _formats(features: Tensor, k: int) -> Iterator[_Format]:
    """Give the formats worth a search, the fastest first; none where nearly all photos would be candidates."""
    if k + SPARE >= len(features) // 4:
        return
    if _seconds(features[: 8 * ROWS].bfloat16()) < _seconds(features):
        yield _coarse(features)
    norm = features.norm(dim=1)
    yield _Format(features, features.new_zeros(features.shape[1]), 1.02 * _adding(features) * norm * norm.amax(), 0.0)


def _coarse(features: Tensor) -> _Format:
    """Return the features in bfloat16, less their mean, and how far off that can be."""
    mean = features.mean(dim=0)
    less = torch.empty_like(features, dtype=torch.bfloat16)
    lengths = torch.empty(4, len(features), device=features.device)
    for rows in torch.arange(len(features), device=features.device).split(ROWS):
        part = features[rows] - mean
        less[rows] = part.bfloat16()
        off, own_off = less[rows].float() - part, features[rows].bfloat16().float() - features[rows]
        lengths[:, rows] = torch.stack([each.norm(dim=1) for each in (features[rows], own_off, part, off)])
    norm, own_off, length, off = lengths[0], lengths[1], lengths[2].amax(), lengths[3].amax()
    # |x y - x' y'| <= |x| |y - y'| + |x - x'| |y'|, and the result is rounded to the 8 bits of bfloat16.
    error = norm * off + (own_off + _adding(features) * norm) * (length + off)
    return _Format(less, mean, 1.02 * error, 2.0**-8)


def _adding(features: Tensor) -> float:
    """Bound, relative to |x| |y|, how far off a product in float32 is, the mean having been taken away.

    Adding d products is off by at most d 2^-24 sum |x y| <= d 2^-24 |x| |y|, in any order; a GPU that truncates, twice
    that. Taking the mean away is off by less than one such product.
    """
    return (features.shape[1] + 1) * 2.0**-23


def _seconds(features: Tensor) -> float:
    """Time a small product in the format of the features, the second of two."""
    start = 0.0
    for _ in range(2):
        start = time.perf_counter()
        (features[:ROWS] @ features[: 8 * ROWS].T)[0, 0].item()
    return time.perf_counter() - start


def _search(features: Tensor, form: _Format, left: Tensor, k: int, found: Tensor) -> Tensor:
    """Write the neighbours of the photos `left`, and return those of them without a certificate."""
    uncertain = []
    block = torch.empty(min(ROWS, len(left)), len(features), dtype=form.features.dtype, device=features.device)
    for rows in _blocks(left, len(features)):
        product = torch.mm(features[rows].to(block.dtype), form.features.T, out=block[: len(rows)])
        candidates, least = _select(product, k + SPARE)
        exact = similarities(features, rows.repeat_interleave(k + SPARE), candidates.ravel()).view_as(candidates)
        neighbours, exact = ranked(rows, candidates, exact, k)
        found[rows.cpu()] = neighbours.cpu()
        best_of_others = least * (1 + form.rounding) + form.error[rows] + features[rows].double() @ form.mean.double()
        uncertain.append(rows[(least <= 0) | (best_of_others >= exact[:, -1])])
    return torch.cat(uncertain) if uncertain else left


def _select(block: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Find the `count` largest of each row, (rows, count) column indices, and the least of them (rows,).

    The largest lie in the groups with the largest maxima, or in the few columns that no group holds. Right for rows
    whose least is above 0: bfloat16 is compared by its bits, as integers, which orders negative numbers backwards.
    """
    rows, columns = block.shape
    groups = columns // GROUP
    bits = block.view(torch.int16) if block.dtype == torch.bfloat16 else block
    maxima = bits[:, : groups * GROUP].reshape(rows, GROUP, groups).amax(dim=1)
    best = maxima.float().topk(min(count, groups), sorted=False).indices
    members = (best[:, None] + torch.arange(0, groups * GROUP, groups, device=block.device)[:, None]).view(rows, -1)
    rest = torch.arange(groups * GROUP, columns, device=block.device).expand(rows, -1)
    members = torch.cat([members, rest], dim=1)
    largest = block.gather(1, members).float().topk(count, sorted=False)
    return members.gather(1, largest.indices), largest.values.amin(dim=1)


def search_exactly(features: Tensor, left: Tensor, k: int, found: Tensor) -> None:
    """Write the k nearest neighbours of the photos `left` into found (N, k), from all similarities in float64."""
    double = features.double()
    for rows in _blocks(left, len(features)):
        exact = double[rows] @ double.T
        kth = exact.topk(k, sorted=False).values.amin(dim=1, keepdim=True)
        away = _away(rows, torch.arange(len(features), device=features.device)[None])
        wanted = torch.where(exact > kth, -1, torch.where(exact == kth, away, away.amax() + 1))
        columns = wanted.topk(k, largest=False, sorted=False).indices
        found[rows.cpu()] = ranked(rows, columns, exact.gather(1, columns), k)[0].cpu()


def ranked(rows: Tensor, columns: Tensor, exact: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Order the columns found for each row by exact similarity, then by distance in index, and keep the first k.

    Shapes: (rows,), (rows, found) and (rows, found) to (rows, k) columns and (rows, k) similarities.
    """
    nearer = _away(rows, columns).argsort(dim=1)
    exact, order = exact.gather(1, nearer).sort(dim=1, descending=True, stable=True)
    return columns.gather(1, nearer).gather(1, order)[:, :k], exact[:, :k]


def _away(rows: Tensor, columns: Tensor) -> Tensor:
    """Rank columns by their distance from the row, the lower of two first: 0, then 1 for row - 1, 2 for row + 1 ..."""
    return 2 * (columns - rows[:, None]).abs() - (columns < rows[:, None]).long()


def _blocks(rows: Tensor, size: int) -> Iterator[Tensor]:
    """Split rows so that their similarities to `size` photos stay within BLOCK; show progress on a terminal."""
    with progress("seeking neighbours", len(rows), delay=3.0) as shown:
        for block in rows.split(max(1, min(ROWS, BLOCK // size))) if len(rows) else ():
            yield block
            shown.advance(len(block))


@contextmanager
def _full_precision() -> Iterator[None]:
    """Multiply float32 as float32, and add bfloat16 in float32, whatever the user allows elsewhere."""
    precision = torch.get_float32_matmul_precision()
    reduced = torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction
    torch.set_float32_matmul_precision("highest")
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(precision)
        torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = reduced


@numba.njit(parallel=True, cache=True, fastmath=True)
def _dot(features: np.ndarray, row: np.ndarray, column: np.ndarray, product: np.ndarray, threads: int) -> None:
    for thread in numba.prange(threads):
        for pair in range(len(row) * thread // threads, len(row) * (thread + 1) // threads):
            total = 0.0
            for n in range(features.shape[1]):
                total += np.float64(features[row[pair], n]) * np.float64(features[column[pair], n])
            product[pair] = total
