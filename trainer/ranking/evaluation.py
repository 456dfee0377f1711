"""Evaluation: what an encoder is worth on a benchmark, in every setting and each of its protocols."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np
import torch

from data.benchmark import Benchmark, Setting
from data.check import unmeasurable
from data.record import ImageRecord
from data.runtime.errors import InputError, RunError
from trainer.ranking.draws import Draw, GivenDraws, draw_galleries
from trainer.ranking.metrics import Labels, QueryScores, chance, distance_blocks, score_blocks
from trainer.ranking.origin import Origin
from trainer.ranking.reranking import reranked_blocks
from trainer.ranking.results import EvaluationProtocol, Result, Score

Extract = Callable[[Sequence[ImageRecord]], "np.ndarray | torch.Tensor"]
RANKS = (1, 5, 10, 20)


@dataclass(frozen=True)
class Measurement:
    """What is measured of a benchmark and how; results carry all of it in their protocols.

    Attributes:
        split: whose people, "test" or "validation".
        rerank: refine the distance by k-reciprocal neighbours.
        flip: features are means over a photo and its mirror image; for the record, since whoever extracts them does it.
        origin: which encoder is measured.
        draws: single-shot galleries in place of our own draws.
    """

    split: str = "test"
    rerank: bool = False
    flip: bool = False
    origin: Origin = field(default_factory=Origin)
    draws: GivenDraws | None = None

    def galleries(self, setting: Setting, shots: str) -> tuple[tuple[Draw, ...], str | None]:
        """Return the galleries to rank, as positions in the setting's own, and the file they are from, if any."""
        if shots == "multi-shot":
            return (tuple(range(len(setting.gallery))),), None
        given = self.draws.galleries.get(setting.name) if self.draws else None
        if self.draws and given:
            return tuple(given), self.draws.source
        return draw_galleries(setting), None


@dataclass(frozen=True)
class Ranked:
    """A protocol's numbers, and what they are the means of.

    Attributes:
        result: the numbers.
        setting: who was looked for among whom.
        galleries: those ranked, as positions in the setting's own.
        scores: of every query of the setting, in each gallery.
        cmc: float64 (G,), mean over the galleries, as far as the smallest goes; at k - 1 the share of queries with a
            match among the first k.
    """

    result: Result
    setting: Setting
    galleries: tuple[Draw, ...]
    scores: tuple[QueryScores, ...]
    cmc: np.ndarray

    @property
    def used(self) -> np.ndarray:
        """The queries with a match in each gallery, bool (Q,)."""
        return np.all([score.first > 0 for score in self.scores], axis=0)

    @property
    def ap(self) -> np.ndarray:
        """Average precision of each query, float64 (Q,) in [0, 1], mean over the galleries."""
        return np.mean([score.ap for score in self.scores], axis=0)

    @property
    def hit(self) -> np.ndarray:
        """How often the nearest photo is a match, float64 (Q,) in [0, 1], mean over the galleries."""
        return np.mean([score.first == 1 for score in self.scores], axis=0)


def evaluate_benchmark(
    benchmark: Benchmark, extract: Extract, measurement: Measurement = Measurement()
) -> tuple[Result, ...]:
    """Measure every setting of a split in each of its protocols, but for those that `unmeasured` names.

    Arguments and errors are those of `rank_benchmark`.
    """
    return tuple(ranked.result for ranked in rank_benchmark(benchmark, extract, measurement))


def rank_benchmark(
    benchmark: Benchmark, extract: Extract, measurement: Measurement = Measurement()
) -> tuple[Ranked, ...]:
    """Measure every setting of a split in each of its protocols, query by query.

    Args:
        benchmark: whose settings are ranked.
        extract: turns records into features, float32 (n, d). Called once, with each distinct photo once; it does the
            flipping that the measurement records.
        measurement: what is measured and how.

    Raises:
        InputError: the benchmark has no settings in this split, or none that can be measured.
        RunError: the features are not finite, or not one a photo.
    """
    tasks = _tasks(benchmark, measurement)
    possible = [task for task in tasks if not task.problem]
    if not possible:
        reasons = dict.fromkeys(str(task.problem) for task in tasks)
        raise InputError(
            f"{benchmark.name}, {measurement.split}: {'; '.join(reasons)}; mend the labels, or rank in another data set"
            " (--dataset)"
        )
    records = {record.path: record for task in possible for record in (*task.setting.query, *task.setting.gallery)}
    features = _checked(extract(tuple(records.values())), len(records))
    row = {path: number for number, path in enumerate(records)}
    ranked = []
    for task in possible:
        query, gallery = (features[[row[r.path] for r in side]] for side in (task.setting.query, task.setting.gallery))
        ranked.append(_measure(task, query, gallery))
    return tuple(ranked)


def unmeasured(benchmark: Benchmark, measurement: Measurement = Measurement()) -> dict[str, str]:
    """Say of each protocol that cannot be measured why, by its name.

    Raises:
        InputError: the benchmark has no settings in this split.
    """
    return {str(task.protocol): task.problem for task in _tasks(benchmark, measurement) if task.problem}


def encode_labels(query: Sequence[ImageRecord], gallery: Sequence[ImageRecord]) -> tuple[Labels, Labels]:
    """Return the records' labels as numbers that mean the same on both sides; unknown clothes are -1."""
    sides = (query, gallery)
    columns = [
        _encode([[getattr(r, name) for r in side] for side in sides]) for name in ("person", "camera", "clothes")
    ]
    return Labels(*(column[0] for column in columns)), Labels(*(column[1] for column in columns))


@dataclass(frozen=True)
class _Task:
    """A protocol to be measured: whom to rank in which galleries, and why that cannot be done, if so."""

    protocol: EvaluationProtocol
    setting: Setting
    galleries: tuple[Draw, ...]
    problem: str | None


def _tasks(benchmark: Benchmark, measurement: Measurement) -> list[_Task]:
    settings = {"test": benchmark.settings, "validation": benchmark.validation}[measurement.split]
    if not settings:
        raise InputError(
            f"{benchmark.name} has no {measurement.split} settings, nothing can be ranked: list query and gallery "
            "photos with their people in a CSV (DATASET=csv), or rank in another data set (--dataset)"
        )
    tasks = []
    for setting in settings.values():
        for shots in setting.shots:
            galleries, source = measurement.galleries(setting, shots)
            protocol = EvaluationProtocol(
                benchmark=benchmark.name,
                split=measurement.split,
                setting=setting.name,
                shots=shots,
                draws=len(galleries),
                rerank=measurement.rerank,
                flip=measurement.flip,
                drawn_by=source,
                root=str(benchmark.root.absolute()),
                list_file=str(benchmark.list_file.absolute()) if benchmark.list_file else None,
                list_sha256=benchmark.list_sha256,
                **asdict(measurement.origin),
            )
            shown = (replace(setting, gallery=tuple(setting.gallery[i] for i in draw)) for draw in galleries)
            problem = next((why for drawn in shown if (why := unmeasurable(drawn))), None)
            tasks.append(_Task(protocol, setting, galleries, problem))
    return tasks


def _measure(task: _Task, query: torch.Tensor, gallery: torch.Tensor) -> Ranked:
    protocol, setting = task.protocol, task.setting
    query_labels, gallery_labels = encode_labels(setting.query, setting.gallery)
    details, chances = [], []
    for draw in task.galleries:
        drawn = np.asarray(draw)
        labels = gallery_labels[drawn]
        details.append(_rank(protocol, query, gallery[torch.from_numpy(drawn)], query_labels, labels))
        chances.append(chance(query_labels, labels, setting.name))
    rankings = [found.ranking(len(draw)) for found, draw in zip(details, task.galleries, strict=True)]
    values = {f"R{k}": [ranking.cmc[min(k, len(ranking.cmc)) - 1] for ranking in rankings] for k in RANKS}
    values["mAP"] = [ranking.mean_ap for ranking in rankings]
    values["mINP"] = [ranking.mean_inp for ranking in rankings]
    by_chance = dict(zip(("R1", "mAP"), np.mean(chances, axis=0), strict=True))
    scores = tuple(
        Score(
            protocol,
            metric,
            value=100 * float(np.mean(numbers)),
            spread=100 * float(np.std(numbers, ddof=1)) if len(numbers) > 1 else None,
            chance=100 * float(by_chance[metric]) if metric in by_chance else None,
        )
        for metric, numbers in values.items()
    )
    used = rankings[0].used
    result = Result(protocol, scores, queries=used, left_out=len(setting.query) - used, gallery=len(task.galleries[0]))
    smallest = min(map(len, task.galleries))
    cmc = np.mean([ranking.cmc[:smallest] for ranking in rankings], axis=0)
    return Ranked(result, setting, task.galleries, tuple(details), cmc)


def _rank(
    protocol: EvaluationProtocol,
    query: torch.Tensor,
    gallery: torch.Tensor,
    query_labels: Labels,
    gallery_labels: Labels,
) -> QueryScores:
    blocks = reranked_blocks(query, gallery) if protocol.rerank else distance_blocks(query, gallery)
    return score_blocks(blocks, query_labels, gallery_labels, protocol.setting)


def _checked(features: np.ndarray | torch.Tensor, number: int) -> torch.Tensor:
    tensor = torch.as_tensor(features)
    if tensor.ndim != 2 or len(tensor) != number:
        raise RunError(f"the encoder gave features of shape {tuple(tensor.shape)} for {number} photos")
    if not torch.isfinite(tensor).all():
        raise RunError("the encoder gave features that are not finite: its weights are damaged, train it anew")
    return tensor.float()


def _encode(sides: list[list[str | None]]) -> tuple[np.ndarray, np.ndarray]:
    number: dict[str | None, int] = {None: -1}
    for side in sides:
        for name in side:
            number.setdefault(name, len(number))
    query, gallery = (np.array([number[name] for name in side], np.int64) for side in sides)
    return query, gallery
