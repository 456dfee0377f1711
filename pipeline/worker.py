"""The worker: a plain function that makes one shard and says what became of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from data.errors import InputError, RunError
from data.photo import read_photo
from data.shards import ShardStatus, writing_shard
from pipeline.canvas import resize
from pipeline.painter import Painter

_BATCH = 32


@dataclass(frozen=True)
class Task:
    """A shard to be made at `path`: the photos `sources` below `root`, the SHA-256 of each file ("" if unreadable)."""

    path: Path
    root: Path
    sources: tuple[str, ...]
    digests: tuple[str, ...]
    painter: Painter
    key: str


@dataclass(frozen=True)
class _Read:
    """A photo that was read, or the reason why not."""

    source: str
    digest: str
    image: npt.NDArray[np.uint8] | None
    reason: str


def make_shard(task: Task) -> ShardStatus:
    """Redraw the photos of one shard and write it.

    A photo that cannot be read becomes a row of the shard's failures. One without a person is kept, its versions are
    copies. Raises RunError if a photo is no longer what it was when the run was planned.
    """
    painter = task.painter
    software = {"torch": str(torch.__version__), "recipe": json.dumps(painter.recipe, sort_keys=True)}
    with writing_shard(task.path, painter.versions, painter.size, task.key, software) as shard:
        for batch in _read_ahead(task):
            photos = [(task.root / read.source, read.image) for read in batch if read.image is not None]
            for read in batch:
                if read.image is None:
                    shard.fail(read.source, read.reason)
            if not photos:
                continue
            redrawn = painter(photos)
            originals = np.stack([resize(image, painter.size) for _, image in photos])[:, None]
            versions = np.where(redrawn.found[:, None, None, None, None], redrawn.images, originals)
            shard.add(
                np.concatenate([originals, versions], axis=1),
                [read.source for read in batch if read.image is not None],
                [read.digest for read in batch if read.image is not None],
                redrawn.templates,
                redrawn.found,
                np.where(redrawn.found[:, None], moved(originals, versions, redrawn.clothing), np.float32(np.nan)),
            )
    return shard.status()


def moved(
    originals: npt.NDArray[np.uint8], versions: npt.NDArray[np.uint8], clothing: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float32]:
    """Mean absolute difference, in grey levels, of the versions from their photo: in the clothes, and in all the rest.

    `originals` (B, 1, H, W, 3), `versions` (B, S, H, W, 3), `clothing` (B, H, W). Returns float32 (B, 2); a photo with
    no pixel on one of the sides has NaN there.
    """
    change = np.abs(versions.astype(np.int16) - originals).mean(axis=(1, 4))
    sides = np.stack([clothing, ~clothing], axis=1)
    with np.errstate(invalid="ignore"):
        return ((change[:, None] * sides).sum((2, 3)) / sides.sum((2, 3))).astype(np.float32)


def _read_ahead(task: Task) -> Iterator[list[_Read]]:
    """The shard's photos in batches; while one is worked on, the next is being read."""
    entries = list(zip(task.sources, task.digests, strict=True))
    batches = [entries[start : start + _BATCH] for start in range(0, len(entries), _BATCH)]
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(_read_batch, task.root, batches[0])
        for following in batches[1:]:
            batch, coming = coming.result(), reader.submit(_read_batch, task.root, following)
            yield batch
        yield coming.result()


def _read_batch(root: Path, entries: list[tuple[str, str]]) -> list[_Read]:
    return [_read(root / source, source, digest) for source, digest in entries]


def _read(path: Path, source: str, digest: str) -> _Read:
    if digest_file(path) != digest:
        raise RunError(f"{path}: the photo changed while it was about to be redrawn: repeat the same command")
    try:
        return _Read(source, digest, read_photo(path), "")
    except InputError as error:
        return _Read(source, digest, None, str(error))


def digest_file(path: Path) -> str:
    """SHA-256 of a file in hexadecimal, "" if it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
