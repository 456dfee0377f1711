"""Origin: which encoder a number is of, and whether it was trained on the photos of the benchmark it is ranked in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from data.benchmark import Benchmark
from data.photo import name_below, photos_digest


@dataclass(frozen=True)
class Origin:
    """Which encoder is measured.

    Attributes:
        checkpoint: of its run, "last" or "best".
        epoch: epochs it was trained.
        encoder: its digest, `trainer.encoder.Encoder.digest`.
        trained_on: the data set of its photos.
        trained_in: the folder or the list that data set was read from.
        cross_benchmark: whether its photos are others than the benchmark's; None where only the names tell.
    """

    checkpoint: str | None = None
    epoch: int | None = None
    encoder: str | None = None
    trained_on: str | None = None
    trained_in: str | None = None
    cross_benchmark: bool | None = None


def find_origin(facts: Mapping[str, Any], benchmark: Benchmark, checkpoint: str, epoch: int, encoder: str) -> Origin:
    """Say where an encoder is from.

    Args:
        facts: what run.json says of its run.
        benchmark: where it will be ranked.
        checkpoint: of the run, "last" or "best".
        epoch: epochs it was trained.
        encoder: its digest.
    """
    trained = facts.get("training_photos")
    here = photos_digest(benchmark.root, (name_below(record.path, benchmark.root) for record in benchmark.train))
    return Origin(
        checkpoint=checkpoint,
        epoch=epoch,
        encoder=encoder,
        trained_on=facts["dataset"],
        trained_in=facts.get("list") or facts.get("root"),
        cross_benchmark=None if None in (trained, here) else trained != here,
    )
