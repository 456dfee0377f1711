"""Labels: who is in each training photo and what is worn, as a benchmark says. Only supervised methods come by here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.benchmark import Benchmark
from data.runtime.errors import InputError


@dataclass(frozen=True)
class LabelledPhotos:
    """Training photos with their labels.

    Attributes:
        root: folder of the data set, beside whose photos annotations may lie.
        paths: the N photos.
        people: int64 (N,), 0 to P - 1.
        clothes: int64 (N,), 0 to C - 1, no two people share any; None where the data set does not say of each photo.
    """

    root: Path
    paths: tuple[Path, ...]
    people: np.ndarray
    clothes: np.ndarray | None

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def wardrobes(self) -> np.ndarray:
        """Tell whose each of the clothes are, int64 (C,)."""
        assert self.clothes is not None
        _, first = np.unique(self.clothes, return_index=True)
        return self.people[first]


def labelled_photos(benchmark: Benchmark) -> LabelledPhotos:
    """Give a benchmark's training photos with their labels.

    Raises:
        InputError: someone is not known by name, or there are fewer than two people.
    """
    records = benchmark.train
    unknown = next((record.path for record in records if record.person is None), None)
    if unknown is not None:
        raise InputError(
            f"{unknown}: its person is unknown, but a baseline learns from people's names: use `make train`"
        )
    people = _numbers([str(record.person) for record in records])
    if people.max(initial=0) < 1:
        raise InputError(f"{benchmark.name} has fewer than two people to train on: a baseline tells people apart")
    # Clothes are named inside one person only.
    worn = [None if record.clothes is None else f"{record.person}\n{record.clothes}" for record in records]
    clothes = None if None in worn else _numbers([str(name) for name in worn])
    return LabelledPhotos(benchmark.root, tuple(record.path for record in records), people, clothes)


def _numbers(names: list[str]) -> np.ndarray:
    return np.unique(np.array(names), return_inverse=True)[1].astype(np.int64)
