"""The worker: a plain function that makes one shard and says what became of it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from data.photo import read_batches
from data.runtime.errors import RunError
from data.runtime.walk import digest_file
from data.shards import FORMAT, INPUTS, UNKNOWN, Groups, PhotoRecord, ShardStatus, ShardWriter, writing_shard
from pipeline.annotate.on_disk import digest_annotation, files_of
from pipeline.blame import each_alone, in_words, of_photo
from pipeline.framing import resize
from pipeline.paint.painter import Annotated, Painter, Redrawn, Retraceable

_BATCH = 32


@dataclass(frozen=True)
class Task:
    """A shard to be made at `path`, of `photos` below `root`."""

    path: Path
    root: Path
    photos: PhotoRecord
    painter: Painter
    key: str


@dataclass(frozen=True)
class Made:
    """A shard that was made, the seconds it took, and how many of them the painter painted."""

    status: ShardStatus
    seconds: float
    painting: float


@dataclass(frozen=True)
class _Batch:
    """(source, digest) of each photo of a batch that was read, the painter's sketch, (source, reason) of the others.

    `annotations`: digests of the annotation files of those that were read; `transparent`: how many of them let white
    through; `stumbled`: why there is no sketch, if one of them may be at fault.
    """

    read: list[tuple[str, str]]
    annotations: list[str]
    transparent: int
    originals: npt.NDArray[np.uint8]
    sketch: Any
    stumbled: Exception | None
    failures: list[tuple[str, str]]


_Redrawn = tuple[_Batch, Redrawn | None]
"""A batch and what the painter made of it; None where there was nothing to be painted."""


def describe(task: Task) -> dict[str, str]:
    """Say what makes a shard, in its attributes: the software, the recipe and, if the painter can, its own inputs."""
    painter = task.painter
    made_by = {"torch": str(torch.__version__), "recipe": json.dumps(painter.recipe, sort_keys=True)}
    if isinstance(painter, Retraceable):
        sources = task.photos.sources
        photos = list(zip(sources, task.photos.sha256, strict=True))
        decisive = [FORMAT, photos, painter.size, painter.versions, painter.inputs(sources)]
        made_by[INPUTS] = hashlib.sha256(json.dumps(decisive).encode()).hexdigest()
    return made_by


def make_shard(task: Task) -> Made:
    """Redraw the photos of one shard and write it; while one batch is painted, the next is read and the last written.

    A photo that cannot be read, or that the painter fails on, is left out and listed with the reason. One without a
    person is kept, its versions are copies; so is one whose annotation cannot be used, which is listed. Raises RunError
    if a photo is no longer what it was when the sync was planned, and whatever the painter raises that is no photo's
    fault.
    """
    painter = task.painter
    began, painting = time.perf_counter(), 0.0
    with (
        writing_shard(task.path, painter.versions, painter.size, task.key, describe(task)) as shard,
        ThreadPoolExecutor(1) as writer,
    ):
        written: Future[None] = writer.submit(lambda: None)
        for batch in _read_ahead(task):
            brush = time.perf_counter()
            parts, unpainted = _paint(task, batch)
            painting += time.perf_counter() - brush
            for left_out in unpainted:
                shard.leave_out(*left_out)
            for part, redrawn in parts:
                for failure in part.failures:
                    shard.fail(*failure)
                if redrawn:
                    written.result()
                    written = writer.submit(_write, shard, part, redrawn)
        written.result()
    return Made(shard.status().sealed(task.path), time.perf_counter() - began, painting)


def _paint(task: Task, batch: _Batch) -> tuple[list[_Redrawn], list[tuple[str, str]]]:
    """Redraw a batch; if the painter fails on it, each of its photos alone, so that only those it fails on are lost.

    Returns:
        What was redrawn, and (source, reason) of each photo that the painter failed on.

    Raises:
        Exception: as `each_alone` does, where it is no photo's fault.
    """
    try:
        return [_redraw(task.painter, batch)], []
    except Exception as error:
        outcomes = each_alone(error, lambda photo: _redraw_alone(task, photo[0]), batch.read)
    redrawn: list[_Redrawn] = [(batch, None)]
    unpainted = []
    for (source, _), outcome in zip(batch.read, outcomes, strict=True):
        if isinstance(outcome, Exception):
            unpainted.append((source, f"{task.root / source}: it cannot be redrawn ({in_words(outcome)})"))
        else:
            redrawn.append(outcome)
    return redrawn, unpainted


def _redraw_alone(task: Task, source: str) -> _Redrawn:
    """Read a photo anew, which may fail by now, and redraw it alone."""
    row = task.photos.sources.index(source)
    [batch] = _sketched(dataclasses.replace(task, photos=task.photos.part(slice(row, row + 1))))
    return _redraw(task.painter, batch)


def _redraw(painter: Painter, batch: _Batch) -> _Redrawn:
    if batch.stumbled:
        raise batch.stumbled
    return batch, painter.paint(batch.sketch) if batch.read else None


def _write(shard: ShardWriter, batch: _Batch, redrawn: Redrawn) -> None:
    originals = batch.originals[:, None]
    found = redrawn.found[:, None, None, None]
    versions = np.where(found[..., None], redrawn.images, originals)
    change = moved(originals, versions, redrawn.clothing)
    shard.add(
        Groups(
            images=np.concatenate([originals, versions], axis=1),
            sources=[source for source, _ in batch.read],
            digests=[digest for _, digest in batch.read],
            templates=redrawn.templates,
            redrawn=redrawn.found,
            moved=np.where(redrawn.found[:, None], change, np.float32(np.nan)),
            agreement=redrawn.agreement,
            annotations=batch.annotations,
            transparent=batch.transparent,
            masks=redrawn.masks if redrawn.masks is None else np.where(found, redrawn.masks, UNKNOWN),
        )
    )
    for row, reason in redrawn.unannotated.items():
        shard.lack(batch.read[row][0], reason)


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


def _read_ahead(task: Task) -> Iterator[_Batch]:
    """The shard's photos in batches; while one is worked on, the next is read and sketched."""
    batches = _sketched(task)
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = reader.submit(next, batches, None)
            yield batch


def _sketched(task: Task) -> Iterator[_Batch]:
    """Read and sketch the shard's photos, few at a time where they are large."""
    digests = dict(zip(task.photos.sources, task.photos.sha256, strict=True))
    files = files_of(task.painter.annotator) if isinstance(task.painter, Annotated) else []
    for batch in read_batches(_unchanged(task), task.root, _BATCH):
        photos = batch.photos
        read = [(photo.name, digests[photo.name]) for photo in photos]
        annotations = [digest_annotation(files, photo.name) for photo in photos]
        originals = np.array([resize(photo.pixels, task.painter.size) for photo in photos], np.uint8)
        transparent = sum(photo.transparent for photo in photos)
        sketch, stumbled = None, None
        try:
            sketch = task.painter.sketch(photos) if photos else None
        except Exception as error:
            if not of_photo(error):
                raise
            stumbled = error
        yield _Batch(read, annotations, transparent, originals, sketch, stumbled, batch.failures)


def _unchanged(task: Task) -> Iterator[Path]:
    """The shard's photos, each seen to be what it was as soon as it is its turn."""
    for source, digest in zip(task.photos.sources, task.photos.sha256, strict=True):
        path = task.root / source
        if digest_file(path) != digest:
            raise RunError(
                f"{path}: the photo changed while it was about to be redrawn: repeat the same command, with --deep if "
                "that is said again"
            )
        yield path
