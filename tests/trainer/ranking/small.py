"""A small benchmark, and features of it that are noisy or perfect."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from data.benchmark import SHOTS, Benchmark, Setting, named
from data.record import ImageRecord

PEOPLE = [f"{p:03}" for p in range(6)]


def photos(camera: str, outfit: str, number: int) -> tuple[ImageRecord, ...]:
    return tuple(
        ImageRecord(Path(f"/data/{camera}/{p}/{i}.jpg"), p, camera, f"{p}-{outfit}")
        for p in PEOPLE
        for i in range(number)
    )


A, B, C = photos("A", "AB", 4), photos("B", "AB", 3), photos("C", "C", 2)
BENCHMARK = Benchmark(
    "small",
    Path("/data"),
    [],
    named(Setting("clothing-change", C, A, SHOTS), Setting("same-clothing", B, A, SHOTS)),
    named(Setting("standard", C, A)),
)


def noisy_features(records: Sequence[ImageRecord]) -> np.ndarray:
    random = np.random.default_rng(0)
    centres = dict(zip(PEOPLE, random.normal(size=(len(PEOPLE), 8)), strict=True))
    return np.array([centres[str(r.person)] + random.normal(size=8) for r in records], np.float32)


def perfect_features(records: Sequence[ImageRecord]) -> torch.Tensor:
    return torch.eye(len(PEOPLE))[[PEOPLE.index(str(r.person)) for r in records]]
