"""The plan: which photos a store is made of, by which painter, in which folder."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from data.benchmark import Benchmark
from data.record import paths_of
from data.runtime.errors import InputError
from data.runtime.walk import Paths
from data.shards import FORMAT, PhotoRecord, known_photos, record_photos
from pipeline.paint.painter import Painter
from pipeline.sync.worker import Task

SHARD = 256
"""Photos in a shard."""
_AT_ONCE = 1024
"""Photos whose names are digested at once."""


@dataclass(frozen=True)
class Plan:
    """What is to be made.

    Attributes:
        benchmark: the data set, without photos.
        photos: its training photos and their files.
        painter: redraws them.
        stores: folder that the store's own lies in.
    """

    benchmark: Benchmark
    photos: PhotoRecord
    painter: Painter
    stores: Path

    @cached_property
    def key(self) -> str:
        """Digest of all that decides a pixel."""
        decisive = {
            "format": FORMAT,
            "shard": SHARD,
            "photos": [],
            "size": self.painter.size,
            "versions": self.painter.versions,
            "recipe": self.painter.recipe,
        }
        # Sorted, the photos are the first list. As one text a million of them would be hundreds of megabytes.
        before, after = json.dumps(decisive, sort_keys=True).split("[]", 1)
        digest = hashlib.sha256(f"{before}[".encode())
        for start in range(0, len(self.photos), _AT_ONCE):
            some = self.photos.part(slice(start, start + _AT_ONCE))
            pairs = json.dumps(list(zip(some.sources, some.sha256, strict=True)))
            digest.update(f"{', ' if start else ''}{pairs[1:-1]}".encode())
        digest.update(f"]{after}".encode())
        return digest.hexdigest()[:16]

    @property
    def folder(self) -> Path:
        """Where the store is or will be."""
        return self.stores / f"{self.benchmark.name}-{self.key}"

    @property
    def tasks(self) -> list[Task]:
        """One for each shard."""
        return [
            Task(
                path=self.folder.absolute() / shard_name(start // SHARD),
                root=self.benchmark.root.absolute(),
                photos=self.photos.part(slice(start, start + SHARD)),
                painter=self.painter,
                key=self.key,
            )
            for start in range(0, len(self.photos), SHARD)
        ]

    @property
    def paths(self) -> Paths:
        """Files of the photos."""
        return Paths(self.benchmark.root.absolute(), self.photos.names)


def shard_name(number: int) -> str:
    """Name of a shard's file, counted from 0."""
    return f"shard-{number:05d}.h5"


def plan_sync(benchmark: Benchmark, painter: Painter, stores: Path, deep: bool = False) -> Plan:
    """Digest all training photos and say what is to be made of them; nothing is written.

    Photos that look as they did at the last sync of the data set are not read again.

    Args:
        benchmark: the data set.
        painter: redraws its training photos.
        stores: folder that the store's own will lie in.
        deep: read all photos in any case.

    Raises:
        InputError: there is no training photo.
    """
    known = None if deep else known_photos(stores, benchmark.name, benchmark.root)
    photos = record_photos(training_photos(benchmark), benchmark.root, known)
    # Labelled photos are objects of Python, half a gigabyte a million, which a sync of weeks need not hold.
    return Plan(dataclasses.replace(benchmark, train=[], settings={}, validation={}), photos, painter, stores)


def training_photos(benchmark: Benchmark) -> Sequence[Path]:
    """Give the files of the photos that are redrawn; InputError if there are none."""
    if not benchmark.train:
        raise InputError(f"{benchmark.root}: no training photos in it, so nothing can be redrawn: give some")
    return paths_of(benchmark.train)
