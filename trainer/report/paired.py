"""Paired differences: two runs on the same queries of the same galleries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trainer.ranking import Ranked


@dataclass(frozen=True)
class Paired:
    """A run against the first one, on the queries that both could rank.

    Attributes:
        difference: of average precision, query by query, float64 (n,) in [-1, 1].
        rank1: difference of R1, per cent.
        rank1_error: its standard error.
        mean_ap: difference of mAP, per cent.
        mean_ap_error: its standard error.
        better: how many queries it ranks better.
        worse: how many it ranks worse.
    """

    difference: np.ndarray
    rank1: float
    rank1_error: float
    mean_ap: float
    mean_ap_error: float
    better: int
    worse: int


def comparable(first: Ranked, other: Ranked) -> bool:
    """Say whether two runs ranked the same galleries for the same queries."""
    same = (first.result.protocol.setting, first.result.protocol.shots, first.galleries)
    return same == (other.result.protocol.setting, other.result.protocol.shots, other.galleries) and (
        first.setting == other.setting
    )


def pair(first: Ranked, other: Ranked) -> Paired:
    """Compare a run with the first one.

    The standard error is that of a mean over independent queries, s / sqrt(n); queries of one person are alike, so the
    true one is larger where people have many.
    """
    used = first.used & other.used
    ap = (other.ap - first.ap)[used]
    hit = (other.hit - first.hit)[used]
    return Paired(
        ap,
        100 * float(hit.mean()),
        100 * _standard_error(hit),
        100 * float(ap.mean()),
        100 * _standard_error(ap),
        int((ap > 0).sum()),
        int((ap < 0).sum()),
    )


def _standard_error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")
