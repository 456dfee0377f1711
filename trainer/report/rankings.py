"""Rankings of a report: every run's encoder on one benchmark, query by query."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from data.benchmark import Benchmark
from data.record import ImageRecord
from data.runtime.errors import InputError
from data.runtime.progress import progress
from trainer.batches import read_photos
from trainer.encoder import Encoder
from trainer.ranking import Measurement, Ranked, Result, find_origin, rank_benchmark
from trainer.report.subject import Subject

_SHORT = 3.0
"""Seconds for which no bar appears."""


@dataclass(frozen=True)
class Rankings:
    """What a run's encoder makes of a benchmark.

    Attributes:
        ranked: each protocol, with the scores of every query.
        features: float32 (n, d) of unit length, of all photos that were ranked.
        rows: the row of each photo.
    """

    ranked: tuple[Ranked, ...] = ()
    features: np.ndarray = field(default_factory=lambda: np.empty((0, 0), np.float32))
    rows: dict[Path, int] = field(default_factory=dict)

    def features_of(self, records: Sequence[ImageRecord]) -> np.ndarray:
        """Give the features of some photos, float32 (n, d)."""
        return self.features[[self.rows[record.path] for record in records]]

    @property
    def results(self) -> tuple[Result, ...]:
        """Give the numbers of each protocol."""
        return tuple(each.result for each in self.ranked)


def rank_anew(subject: Subject, benchmark: Benchmark, checkpoint: str, workers: int) -> tuple[Rankings, list[str]]:
    """Rank a benchmark's test galleries with a run's encoder, as `make eval` does.

    Returns:
        The rankings, empty where there is nothing to rank, and a line that says why.
    """
    origin = find_origin(subject.facts, benchmark, checkpoint, subject.epoch, subject.encoder.digest)
    kept: list[tuple[np.ndarray, dict[Path, int]]] = []

    def extract(records: Sequence[ImageRecord]) -> np.ndarray:
        paths = [record.path for record in records]
        features = _embed(subject.encoder, paths, workers)
        kept.append((features, {path: row for row, path in enumerate(paths)}))
        return features

    try:
        return Rankings(rank_benchmark(benchmark, extract, Measurement(origin=origin)), *kept[0]), []
    except InputError as error:
        return Rankings(), [f"{subject.name}: nothing was ranked: {error}"]


def _embed(encoder: Encoder, paths: Sequence[Path], workers: int) -> np.ndarray:
    """Give features as `Encoder.embed` does, with a progress bar."""
    with progress("encoding", len(paths), delay=_SHORT) as shown:

        def counted() -> Iterator[torch.Tensor]:
            for batch in read_photos(paths, encoder.input.size, workers):
                yield batch
                shown.advance(len(batch))

        return encoder.encode(counted()).cpu().numpy()


def with_older(subject: Subject, rankings: Rankings) -> list[Result]:
    """Give the numbers made now, then those of results.json that were measured otherwise."""
    measured = {result.protocol for result in rankings.results}
    return [*rankings.results, *(result for result in subject.results if result.protocol not in measured)]
