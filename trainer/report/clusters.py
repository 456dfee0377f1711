"""Clusters of a report: whether they follow people, their clothes, or the cameras; labels are for the report alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score
from sklearn.metrics.cluster import contingency_matrix

from data.record import ImageRecord

TRAITS = ("person", "clothes", "camera")


@dataclass(frozen=True)
class Agreement:
    """How far clusters agree with a trait of the photos: 1 is the same partition, 0 what chance gives.

    Attributes:
        trait: "person", "clothes" or "camera".
        values: how many different ones there are.
        photos: those in a cluster whose trait is known.
        ami: adjusted mutual information, at most 1.
        ari: adjusted Rand index, at most 1.
        purity: the share of photos with the most frequent value of their cluster, in [0, 1].
        chance: the same where the photos' values are dealt out anew at random.
    """

    trait: str
    values: int
    photos: int
    ami: float
    ari: float
    purity: float
    chance: float


def trait_of(records: Sequence[ImageRecord], trait: str) -> tuple[np.ndarray, list[str]]:
    """Give a trait of each photo as a number, int64 (N,), unknown -1, and the names that the numbers stand for."""
    values = [getattr(record, trait) for record in records]
    names = sorted({value for value in values if value is not None})
    number = {name: place for place, name in enumerate(names)}
    return np.array([-1 if value is None else number[value] for value in values], np.int64), names


def agreements(labels: np.ndarray, records: Sequence[ImageRecord]) -> list[Agreement]:
    """Compare pseudo labels, int64 (N,), noise -1 and left out, with each trait that is known of some photos."""
    found = []
    for trait in TRAITS:
        numbers, names = trait_of(records, trait)
        kept = (labels >= 0) & (numbers >= 0)
        if not kept.any():
            continue
        ours, theirs = labels[kept], numbers[kept]
        found.append(
            Agreement(
                trait,
                len(names),
                int(kept.sum()),
                float(adjusted_mutual_info_score(theirs, ours)),
                float(adjusted_rand_score(theirs, ours)),
                _purity(ours, theirs),
                _purity(ours, np.random.default_rng(0).permutation(theirs)),
            )
        )
    return found


def _purity(clusters: np.ndarray, values: np.ndarray) -> float:
    return float(contingency_matrix(values, clusters, sparse=True).max(axis=0).sum() / len(clusters))
