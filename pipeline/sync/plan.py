"""The plan: which photos a store is made of, by which painter, in which folder."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from data.benchmark import Benchmark
from data.photo import name_below
from data.runtime.errors import InputError
from data.runtime.progress import progress
from data.runtime.walk import digest_file
from data.shards import FORMAT
from pipeline.paint.painter import Painter
from pipeline.sync.worker import Task

SHARD = 256
"""Photos in a shard."""

_DELAY = 2.0


@dataclass(frozen=True)
class Plan:
    """What is to be made.

    Attributes:
        benchmark: the data set.
        sources: name of each of its training photos, the path below its root.
        digests: SHA-256 of each photo's file.
        painter: redraws them.
        stores: folder that the store's own lies in.
    """

    benchmark: Benchmark
    sources: tuple[str, ...]
    digests: tuple[str, ...]
    painter: Painter
    stores: Path

    @cached_property
    def key(self) -> str:
        """Digest of all that decides a pixel."""
        decisive = {
            "format": FORMAT,
            "shard": SHARD,
            "photos": list(zip(self.sources, self.digests, strict=True)),
            "size": self.painter.size,
            "versions": self.painter.versions,
            "recipe": self.painter.recipe,
        }
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def folder(self) -> Path:
        """Where the store is or will be."""
        return self.stores / f"{self.benchmark.name}-{self.key}"

    @property
    def tasks(self) -> list[Task]:
        """One for each shard."""
        return [
            Task(
                path=self.folder.absolute() / f"shard-{start // SHARD:05d}.h5",
                root=self.benchmark.root.absolute(),
                sources=self.sources[start : start + SHARD],
                digests=self.digests[start : start + SHARD],
                painter=self.painter,
                key=self.key,
            )
            for start in range(0, len(self.sources), SHARD)
        ]


def plan_sync(benchmark: Benchmark, painter: Painter, stores: Path) -> Plan:
    """Read the bytes of all training photos and say what is to be made of them; nothing is written.

    Args:
        benchmark: the data set.
        painter: redraws its training photos.
        stores: folder that the store's own will lie in.

    Raises:
        InputError: there is no training photo.
    """
    photos = training_photos(benchmark)
    digests = []
    with ThreadPoolExecutor() as pool, progress("checking photos", len(photos), delay=_DELAY) as checked:
        for digest in pool.map(digest_file, photos):
            digests.append(digest)
            checked.advance()
    sources = tuple(name_below(photo, benchmark.root) for photo in photos)
    return Plan(benchmark, sources, tuple(digests), painter, stores)


def training_photos(benchmark: Benchmark) -> list[Path]:
    """Give the files of the photos that are redrawn; InputError if there are none."""
    if not benchmark.train:
        raise InputError(f"{benchmark.root}: no training photos in it, so nothing can be redrawn: give some")
    return [record.path for record in benchmark.train]
