"""Query-gallery ranking: CMC, mAP and mINP in a named setting, by blocks of queries.

Equal distances are resolved against the encoder: photos of other people come before the true matches. So the figures do
not depend on the gallery's order, and an encoder that maps everything to one point scores as badly as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from data.benchmark import SETTINGS
from data.errors import InputError, RunError

METRICS = ("cosine", "euclidean")
_BLOCK_ELEMENTS = 1 << 24


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

    cmc: float64 (G,), at k-1 the share of queries with a match among the first k. mean_ap: mean over queries of the
    mean precision at each match (no interpolation). mean_inp: mean of matches / rank of the last match (Ye et al. 2021,
    "Deep Learning for Person Re-identification", eq. 6). used: how many queries had a match; the others are left out.
    """

    cmc: np.ndarray
    mean_ap: float
    mean_inp: float
    used: int


def evaluate(distance: np.ndarray | torch.Tensor, query: Labels, gallery: Labels, setting: str) -> Ranking:
    """Rank a gallery for each query by a float (Q, G) distance, the smaller the nearer.

    `setting` says which photos of the query's own person are removed from its ranking: "standard" those of the same
    camera, "clothing-change" those of the same camera or in the same clothes, "same-clothing" those of the same camera
    or in other clothes. Works on the distance's device, in blocks. Raises InputError where no query has a match or the
    setting is unknown, RunError where a distance is not finite, ValueError where shapes do not agree.
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
    metric: str = "cosine",
) -> Ranking:
    """Rank by the distance of features, float (Q, d) and (G, d), without ever holding the (Q, G) matrix.

    See `evaluate` for the rest, and `distance_blocks` for `metric`.
    """
    return rank_blocks(distance_blocks(query_features, gallery_features, metric), query, gallery, setting)


def distance_blocks(query: torch.Tensor, gallery: torch.Tensor, metric: str = "cosine") -> Iterator[torch.Tensor]:
    """Yield the distances of float (Q, d) and (G, d) features as (rows, G) blocks, in the order of the queries.

    "cosine" is 1 - cos, in [0, 2], whatever the features' length (a feature of zeros has cosine 0 to all); "euclidean"
    is the length of the difference.
    """
    if metric not in METRICS:
        raise InputError(f"metric {metric!r} is unknown: choose one of {', '.join(METRICS)}")
    if metric == "cosine":
        query, gallery = torch.nn.functional.normalize(query), torch.nn.functional.normalize(gallery)
    for block in query.split(_rows(len(gallery))):
        yield (
            torch.addmm(block.new_ones(1), block, gallery.T, alpha=-1)
            if metric == "cosine"
            else torch.cdist(block, gallery)
        )


def rank_blocks(blocks: Iterable[torch.Tensor], query: Labels, gallery: Labels, setting: str) -> Ranking:
    """Rank by distances that come as (rows, G) blocks of consecutive queries; see `evaluate`."""
    same_person = _SamePerson(query, gallery, setting)
    first, ap, inp = [], [], []
    start = 0
    for block in blocks:
        rows, columns, match = same_person.pairs(start, start + len(block))
        start += len(block)
        ranks, count = _match_ranks(block, rows, columns, match)
        ranks, count = ranks[count > 0], count[count > 0]
        order = np.arange(1, ranks.shape[1] + 1)
        present = order <= count[:, None]
        ap.append(np.where(present, order / ranks, 0).sum(1) / count)
        inp.append(count / np.where(present, ranks, 0).max(1, initial=0))
        first.append(ranks[:, 0] if ranks.size else np.empty(0, np.int64))
    if start != len(query):
        raise ValueError(f"the blocks hold {start} queries, the labels {len(query)}")
    ap_all, inp_all, first_all = np.concatenate(ap), np.concatenate(inp), np.concatenate(first)
    used = len(ap_all)
    if used == 0:
        raise InputError(f"no query has a match in the gallery in the {setting} setting: see the dataset's labels")
    cmc = np.bincount(first_all - 1, minlength=len(gallery)).cumsum() / used
    return Ranking(cmc, float(ap_all.mean()), float(inp_all.mean()), used)


def chance(query: Labels, gallery: Labels, setting: str) -> tuple[float, float]:
    """Return the rank-1 and mAP that rankings in random order have in expectation, as fractions.

    With n photos left in a query's ranking and R matches among them, rank-1 is R / n and the expected average precision
    ((R - 1)(n - H_n) / (n - 1) + H_n) / n, where H_n is the n-th harmonic number. Queries without a match are left out.
    """
    rows, _, match = _SamePerson(query, gallery, setting).pairs(0, len(query))
    matches = np.bincount(rows[match], minlength=len(query))
    left = len(gallery) - np.bincount(rows[~match], minlength=len(query))
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

    def pairs(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return rows (from `start`), gallery columns and whether each is a match, for queries start to stop - 1."""
        count = self._count[start:stop]
        rows = np.repeat(np.arange(len(count)), count)
        within = np.arange(len(rows)) - np.repeat(count.cumsum() - count, count)
        columns = self._by_person[self._begin[start:stop][rows] + within]
        same_camera = self._query.camera[start:stop][rows] == self._gallery.camera[columns]
        same_clothes = self._query.clothes[start:stop][rows] == self._gallery.clothes[columns]
        removed = {
            "standard": same_camera,
            "clothing-change": same_camera | same_clothes,
            "same-clothing": same_camera | ~same_clothes,
        }[self._setting]
        return rows, columns, ~removed


def _match_ranks(
    block: torch.Tensor, rows: np.ndarray, columns: np.ndarray, match: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the ranks (from 1) of each query's matches, ascending, as int64 (rows, most matches), and their number.

    Instead of sorting the gallery, each photo of another person is put between the few sorted matches it falls, and
    the photos before each match are counted.
    """
    if not torch.isfinite(block).all():
        raise RunError("a distance is not a finite number: the features are damaged, see the training's loss")
    length = len(block)
    count = np.bincount(rows[match], minlength=length)
    width = int(count.max(initial=0))
    position = torch.as_tensor(rows * block.shape[1] + columns, device=block.device)
    own = torch.as_tensor(match, device=block.device)
    slot = np.arange(match.sum()) - np.repeat(count.cumsum() - count, count) + rows[match] * width

    matches = block.new_full((length * width,), torch.inf)
    matches[torch.as_tensor(slot, device=block.device)] = block.reshape(-1)[position[own]]
    matches = matches.reshape(length, width).sort(dim=1).values
    others = block.clone(memory_format=torch.contiguous_format)
    others.view(-1)[position] = torch.inf
    before = torch.searchsorted(matches, others, out_int32=True)
    before += torch.arange(length, device=block.device, dtype=torch.int32)[:, None] * (width + 1)
    nearer = torch.bincount(before.view(-1), minlength=length * (width + 1)).reshape(length, width + 1)
    ranks = nearer[:, :width].cumsum(1) + torch.arange(1, width + 1, device=block.device)
    return ranks.cpu().numpy(), count


def _rows(gallery: int) -> int:
    """Return how many queries make a block of bounded memory."""
    return max(1, _BLOCK_ELEMENTS // max(1, gallery))
