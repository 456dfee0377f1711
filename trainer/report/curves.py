"""Curves of a report: CMC, paired differences, and what a training measured epoch by epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from trainer.observers.judge import CAMERAS
from trainer.report.charts import Chart, Line, draw
from trainer.report.paired import comparable, pair
from trainer.report.rankings import Rankings
from trainer.report.subject import Subject

_RANKS = 50
_KEPT_RANKS = (1, 5, 10, 20)

_TRAINING: tuple[tuple[str, str, str, tuple[tuple[str, str], ...]], ...] = (
    ("Clusters", "Clusters", "", (("clusters", "clusters"), ("outliers", "outliers"), ("largest", "largest cluster"))),
    (
        "Quality of the clusters",
        "ARI of the clusters",
        "",
        (("ARI", "ARI"), ("NMI", "NMI"), ("purity", "purity"), (CAMERAS, "AMI with cameras")),
    ),
    ("Loss", "Loss", "", (("loss", "loss"), ("L_q", "L_q, contrast"), ("L_s", "L_s, self-identity"))),
    ("Validation mAP", "Validation mAP", "per cent", (("score", "mAP"),)),
    ("Time of the clustering", "Time of the clustering", "seconds an epoch", (("cluster_seconds", "clustering"),)),
    ("Time of a step", "Time of a step", "seconds", (("step_seconds", "step"), ("data_seconds", "waiting for data"))),
)
"""Charts of metrics.jsonl: titles for one run and for several, what the vertical axis shows, and measures with their
names; several runs are compared by the first."""


def curves_of(subjects: Sequence[Subject], rankings: Sequence[Rankings]) -> list[Chart]:
    """Draw CMC curves, of one run those of all protocols together, of several a chart a protocol; then differences."""
    if not any(ranking.ranked for ranking in rankings):
        return list(_kept_curves(subjects))
    if len(subjects) == 1:
        lines = [
            Line(str(each.result.protocol), *_curve(each.cmc), colour=number, dash=number)
            for number, each in enumerate(rankings[0].ranked)
        ]
        return [draw("CMC", lines, "rank", "per cent", logarithmic=True)]
    charts = []
    for place, first in enumerate(next(r.ranked for r in rankings if r.ranked)):
        lines = [
            Line(subject.name, *_curve(ranking.ranked[place].cmc), colour=number, dash=number)
            for number, (subject, ranking) in enumerate(zip(subjects, rankings, strict=True))
            if ranking.ranked
        ]
        charts.append(draw(f"CMC: {first.result.protocol}", lines, "rank", "per cent", logarithmic=True))
        differences = list(_differences(subjects, rankings, place))
        if differences:
            title = f"Difference to {subjects[0].name}: {first.result.protocol}"
            charts.append(draw(title, differences, "queries, per cent of all", "average precision"))
    return charts


def training_charts(subjects: Sequence[Subject]) -> list[Chart]:
    """Draw what metrics.jsonl holds, each measure that there is."""
    charts = []
    for title, title_of_several, up, measures in _TRAINING:
        shown = measures if len(subjects) == 1 else measures[:1]
        lines = [
            Line(name if len(subjects) == 1 else subject.name, *found, colour=number, dash=number)
            for number, (subject, measure, name) in enumerate((s, m, n) for s in subjects for m, n in shown)
            if (found := _measured(subject, measure))
        ]
        if lines:
            charts.append(draw(title if len(subjects) == 1 else title_of_several, lines, "epoch", up))
    return charts


def _curve(cmc: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    count = min(_RANKS, len(cmc))
    return np.arange(1, count + 1), 100 * cmc[:count]


def _kept_curves(subjects: Sequence[Subject]) -> Iterator[Chart]:
    """What results.json has of CMC, where nothing could be ranked anew."""
    for subject in subjects:
        lines = [
            Line(str(result.protocol), _KEPT_RANKS, [result[f"R{rank}"].value for rank in _KEPT_RANKS], number, number)
            for number, result in enumerate(subject.results)
            if {f"R{rank}" for rank in _KEPT_RANKS} <= {score.metric for score in result.scores}
        ]
        if lines:
            title = "CMC, as results.json has it" + (f": {subject.name}" if len(subjects) > 1 else "")
            yield draw(title, lines, "rank", "per cent", logarithmic=True)


def _differences(subjects: Sequence[Subject], rankings: Sequence[Rankings], place: int) -> Iterator[Line]:
    for number, subject in enumerate(subjects[1:], 1):
        first, other = rankings[0].ranked, rankings[number].ranked
        if first and other and comparable(first[place], other[place]):
            sorted_ = np.sort(100 * pair(first[place], other[place]).difference)[::-1]
            yield Line(subject.name, np.linspace(0, 100, len(sorted_)), sorted_, number, number)


def _measured(subject: Subject, measure: str) -> tuple[list[float], list[float]] | None:
    found = [(record["epoch"], record[measure]) for record in subject.history if measure in record]
    return ([epoch for epoch, _ in found], [value for _, value in found]) if found else None
