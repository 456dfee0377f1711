"""Query-gallery ranking: CMC, mAP and mINP in a named setting, by blocks of queries.

Equal distances are resolved against the encoder: photos of other people come before the true matches. So the numbers do
not depend on the gallery's order, and an encoder that maps everything to one point scores as badly as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numba
import numpy as np
import torch

from data.benchmark import SETTINGS
from data.runtime.errors import InputError, RunError

# Distances in a block of queries, 64 MiB in float32: the memory that ranking takes beside the features.
_BLOCK_ELEMENTS = 1 << 24
# Distances that stay in the first cache (16 KiB) while all of a query's matches are compared with them.
_CACHED = 4096

OTHER, MATCH, REMOVED = 0, 1, 2
"""What a gallery photo is to a query: `verdicts` gives one of these for each pair."""


@dataclass(frozen=True)
class Labels:
    """Who, by which camera, in which clothes: int64 (N,) each; numbers are names, equal or not."""

    person: np.ndarray
    camera: np.ndarray
    clothes: np.ndarray

    def __len__(self) -> int:
        """Return how many photos are labelled."""
        return len(self.person)

    def __getitem__(self, index: slice | np.ndarray) -> Labels:
        """Return the labels of the photos chosen by a slice, numbers or a mask."""
        return Labels(self.person[index], self.camera[index], self.clothes[index])


@dataclass(frozen=True)
class Ranking:
    """How well true matches are ranked, all as fractions in [0, 1], means over the queries that have a match.

    Attributes:
        cmc: float64 (G,), at k - 1 the share of queries with a match among the first k.
        mean_ap: mean over queries of the mean precision at each match, without interpolation.
        mean_inp: mean of matches / rank of the last match (mINP of Ye et al., "Deep Learning for Person
            Re-identification: A Survey and Outlook", TPAMI 2021).
        used: how many queries had a match; the others are left out.
    """

    cmc: np.ndarray
    mean_ap: float
    mean_inp: float
    used: int


@dataclass(frozen=True)
class QueryScores:
    """How each query's true matches are ranked; all is 0 where it has none.

    Attributes:
        first: int64 (Q,), the rank of the first match, from 1.
        ap: float64 (Q,), the mean precision at each match, in [0, 1].
        inp: float64 (Q,), matches / rank of the last match, in [0, 1].
    """

    first: np.ndarray
    ap: np.ndarray
    inp: np.ndarray

    def ranking(self, gallery: int) -> Ranking:
        """Return the means over the queries that have a match, one at least, in a gallery of so many photos."""
        used = self.first > 0
        cmc = np.bincount(self.first[used] - 1, minlength=gallery).cumsum() / used.sum()
        return Ranking(cmc, float(self.ap[used].mean()), float(self.inp[used].mean()), int(used.sum()))


def evaluate(distance: np.ndarray | torch.Tensor, query: Labels, gallery: Labels, setting: str) -> Ranking:
    """Rank a gallery for each query by a distance.

    Args:
        distance: float (Q, G), the smaller the nearer.
        query: the labels of its rows.
        gallery: the labels of its columns.
        setting: which photos of the query's own person are removed from its ranking: "standard" removes those of the
            same camera, "clothing-change" those of the same camera or in the same clothes, "same-clothing" those of
            the same camera or in other clothes.

    Raises:
        InputError: no query has a match, or the setting is unknown.
        RunError: a distance is not finite.
        ValueError: the shapes do not agree.
    """
    if distance.shape != (len(query), len(gallery)):
        raise ValueError(f"distance is {tuple(distance.shape)}, labels say {(len(query), len(gallery))}")
    distance = torch.as_tensor(distance)
    return rank_blocks(distance.split(_rows(len(gallery))), query, gallery, setting)


def evaluate_features(
    query_features: torch.Tensor,
    gallery_features: torch.Tensor,
    query: Labels,
    gallery: Labels,
    setting: str,
) -> Ranking:
    """Rank by the cosine distance of features, without ever holding the (Q, G) matrix.

    Args:
        query_features: float (Q, d), of any length; Euclidean distance ranks alike once all have unit length.
        gallery_features: float (G, d).
        query: the labels of the queries.
        gallery: the labels of the gallery.
        setting: which photos are removed, as for `evaluate`, which raises the same errors.
    """
    return rank_blocks(distance_blocks(query_features, gallery_features), query, gallery, setting)


def distance_blocks(query: torch.Tensor, gallery: torch.Tensor) -> Iterator[torch.Tensor]:
    """Yield the distances 1 - cos, in [0, 2], of float (Q, d) and (G, d) features as (rows, G) blocks, in order.

    A feature of zeros has cosine 0 to all.
    """
    query, gallery = torch.nn.functional.normalize(query), torch.nn.functional.normalize(gallery)
    for block in query.split(_rows(len(gallery))):
        yield torch.addmm(block.new_ones(1), block, gallery.T, alpha=-1)


def rank_blocks(blocks: Iterable[torch.Tensor], query: Labels, gallery: Labels, setting: str) -> Ranking:
    """Rank by distances that come as (rows, G) blocks of consecutive queries; labels and errors as for `evaluate`."""
    return score_blocks(blocks, query, gallery, setting).ranking(len(gallery))


def score_blocks(blocks: Iterable[torch.Tensor], query: Labels, gallery: Labels, setting: str) -> QueryScores:
    """Return what `rank_blocks` takes the means of."""
    same_person = _SamePerson(query, gallery, setting)
    first, ap, inp = np.zeros(len(query), np.int64), np.zeros(len(query)), np.zeros(len(query))

    def score(start: int, distance: np.ndarray) -> bool:
        part = slice(start, start + len(distance))
        return _score(distance, *same_person.pairs(part), first[part], ap[part], inp[part])

    start, threads = 0, torch.get_num_threads()
    with ThreadPoolExecutor(threads) as pool:
        for block in blocks:
            block = block if block.dtype == torch.float64 else block.float()
            parts = np.array_split(np.ascontiguousarray(block.cpu().numpy()), max(1, min(len(block), threads)))
            starts = start + np.cumsum([0] + [len(part) for part in parts[:-1]])
            if not all(pool.map(score, starts, parts)):
                raise RunError("a distance is not a finite number: the features are damaged, see the training's loss")
            start += len(block)
    if start != len(query):
        raise ValueError(f"the blocks hold {start} queries, the labels {len(query)}")
    if not first.any():
        raise InputError(f"no query has a match in the gallery in the {setting} setting: see the dataset's labels")
    return QueryScores(first, ap, inp)


def verdicts(query: Labels, gallery: Labels, setting: str) -> np.ndarray:
    """Return of each pair what the setting's rule makes of it, int8 (Q, G): OTHER person, MATCH, or REMOVED."""
    begin, column, match = _SamePerson(query, gallery, setting).pairs(slice(0, len(query)))
    found = np.full((len(query), len(gallery)), OTHER, np.int8)
    found[np.repeat(np.arange(len(query)), np.diff(begin)), column] = np.where(match, MATCH, REMOVED)
    return found


def chance(query: Labels, gallery: Labels, setting: str) -> tuple[float, float]:
    """Return the rank-1 and mAP, as fractions, that rankings in random order have in expectation.

    With n photos left in a query's ranking and R matches among them, rank-1 is R / n and the expected average precision
    ((R - 1)(n - H_n) / (n - 1) + H_n) / n, where H_n is the n-th harmonic number. Queries without a match are left out.
    """
    begin, _, match = _SamePerson(query, gallery, setting).pairs(slice(0, len(query)))
    row = np.repeat(np.arange(len(query)), np.diff(begin))
    matches = np.bincount(row[match], minlength=len(query))
    left = len(gallery) - np.bincount(row[~match], minlength=len(query))
    matches, left = matches[matches > 0], left[matches > 0]
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, len(gallery) + 1))])[left]
    ap = ((matches - 1) * (left - harmonic) / np.maximum(left - 1, 1) + harmonic) / left
    return float((matches / left).mean()), float(ap.mean())


class _SamePerson:
    """The gallery photos of each query's own person: only they can be matches or be removed."""

    def __init__(self, query: Labels, gallery: Labels, setting: str) -> None:
        if setting not in SETTINGS:
            raise InputError(f"setting {setting!r} is unknown: choose one of {', '.join(SETTINGS)}")
        self._query, self._gallery, self._setting = query, gallery, setting
        self._by_person = np.argsort(gallery.person, kind="stable")
        people = gallery.person[self._by_person]
        self._begin = np.searchsorted(people, query.person, "left")
        self._count = np.searchsorted(people, query.person, "right") - self._begin

    def pairs(self, queries: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return, for n consecutive queries, where each one's photos begin (n + 1,), their columns, and which match."""
        count = self._count[queries]
        begin = np.concatenate([[0], count.cumsum()])
        row = np.repeat(np.arange(len(count)), count)
        column = self._by_person[self._begin[queries][row] + np.arange(len(row)) - begin[row]]
        same_camera = self._query.camera[queries][row] == self._gallery.camera[column]
        same_clothes = self._query.clothes[queries][row] == self._gallery.clothes[column]
        removed = {
            "standard": same_camera,
            "clothing-change": same_camera | same_clothes,
            "same-clothing": same_camera | ~same_clothes,
        }[self._setting]
        return begin, column, ~removed


@numba.njit(nogil=True, cache=True)
def _score(
    distance: np.ndarray,
    begin: np.ndarray,
    column: np.ndarray,
    match: np.ndarray,
    first: np.ndarray,
    ap: np.ndarray,
    inp: np.ndarray,
) -> bool:
    """Write each query's rank of the first match (0 if it has none), average precision and inverse negative penalty.

    A match's rank needs no sorted gallery: it is one more than the photos before it, and counting those runs at the
    speed of memory. Of the query's own person only matches count. Return whether all distances are finite.
    """
    infinite = 0
    for i in range(len(distance)):
        own = column[begin[i] : begin[i + 1]]
        own_distances = distance[i][own]
        limits = np.sort(own_distances[match[begin[i] : begin[i + 1]]])
        ranks = np.arange(1, len(limits) + 1)
        for m in range(len(limits)):
            ranks[m] -= _count_up_to(own_distances, limits[m])
        for start in range(0, distance.shape[1], _CACHED):
            part = distance[i, start : start + _CACHED]
            infinite += _count_not_finite(part)
            for m in range(len(limits)):
                ranks[m] += _count_up_to(part, limits[m])
        if len(limits):
            first[i] = ranks[0]
            ap[i] = (np.arange(1, len(limits) + 1) / ranks).sum() / len(limits)
            inp[i] = len(limits) / ranks[-1]
    return infinite == 0


# Only loops over an index, with sums kept in 32 bits, become the vector instructions that make this fast.
@numba.njit(cache=True)
def _count_up_to(values: np.ndarray, limit: float) -> np.int32:
    count = np.int32(0)
    for i in range(len(values)):
        count = np.int32(count + np.int32(values[i] <= limit))
    return count


@numba.njit(cache=True)
def _count_not_finite(values: np.ndarray) -> np.int32:
    count = np.int32(0)
    for i in range(len(values)):
        count = np.int32(count + np.int32(values[i] - values[i] != 0))
    return count


def _rows(gallery: int) -> int:
    """Return how many queries make a block of bounded memory."""
    return max(1, _BLOCK_ELEMENTS // max(1, gallery))
