"""Batches of a supervised training: photos read from their files, labels, and pose and parsing where a method asks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from data.annotation import annotation_files, read_annotation
from data.photo import read_photo
from data.runtime.errors import InputError
from trainer.batches import read_ahead
from trainer.supervised.labels import LabelledPhotos


class Pixels(NamedTuple):
    """What is read of n photos.

    Attributes:
        photos: uint8 (n, H, W, 3).
        parsing: uint8 (n, H, W), or (0,) where annotations were not asked for.
        joints: float32 (n, 18, 2), x and y as shares of width and height, NaN where one is missing; or (0,).
    """

    photos: Tensor
    parsing: Tensor
    joints: Tensor


@dataclass(frozen=True)
class Batch:
    """What a method sees of a step.

    Attributes:
        images: float32 (B, 3, H, W), normalised.
        people: int64 (B,).
        clothes: int64 (B,), or (0,) where unknown.
        parsing: uint8 (B, H, W), regions as in `data.annotation.Region`, or (0,) where the method does not ask.
        joints: float32 (B, 18, 2), in the order of `data.annotation.Joint`, x and y as shares of the picture's width
            and height, NaN where one is missing; or (0,) where the method does not ask.
        random: numbers for what the method draws itself; the same at the same step of every run.
        progress: share of the training that is over, from 0 to below 1.
    """

    images: Tensor
    people: Tensor
    clothes: Tensor
    parsing: Tensor
    joints: Tensor
    random: np.random.Generator
    progress: float


def read_batches(
    photos: LabelledPhotos, batches: np.ndarray, size: tuple[int, int], annotated: bool, workers: int, pin: bool
) -> Iterator[Pixels]:
    """Yield the photos of each batch of indices, (steps, n), resized to `size`.

    Args:
        photos: the training photos.
        batches: indices into them.
        size: height and width, pixels.
        annotated: whether to read the photos' pose and parsing too.
        workers: processes that read ahead; 0 reads in this one.
        pin: whether the batches lie in memory that a GPU can fetch from while it computes.

    Raises:
        InputError: a photo or its annotation cannot be read.
        RunError: a reading process died.
    """
    for batch in read_ahead(_Photos(photos, batches, size, annotated), workers, pin):
        if isinstance(batch, InputError):
            raise batch
        yield batch


def require_annotations(photos: LabelledPhotos) -> None:
    """Refuse photos without pose and parsing beside them, before anything is begun.

    Raises:
        InputError: a photo has none.
    """
    missing = [path for path in photos.paths if not all(map(Path.is_file, annotation_files(photos.root, path)))]
    if missing:
        raise InputError(
            f"{missing[0]}: no pose and parsing beside it ({len(missing):,} of {len(photos):,} photos), which this"
            " method needs: choose another METHOD, or annotate the photos as docs/supervised.md shows"
        )


class _Photos(Dataset[Any]):
    """One item a batch."""

    def __init__(self, photos: LabelledPhotos, batches: np.ndarray, size: tuple[int, int], annotated: bool) -> None:
        self.photos, self.batches, self.size, self.annotated = photos, batches, size, annotated

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Pixels | InputError:
        if index >= len(self):
            raise IndexError(index)
        paths = [self.photos.paths[photo] for photo in self.batches[index]]
        try:
            pixels = np.stack([read_photo(path, self.size) for path in paths])
            parsing, joints = self._annotations(paths) if self.annotated else (np.empty(0, np.uint8), np.empty(0))
        except InputError as error:
            return error
        return Pixels(*map(torch.from_numpy, (pixels, parsing, joints.astype(np.float32))))

    def _annotations(self, paths: list[Path]) -> tuple[np.ndarray, np.ndarray]:
        height, width = self.size
        found = [read_annotation(self.photos.root, path).resize(height, width) for path in paths]
        joints = np.stack([annotation.joints for annotation in found]) / (width, height)
        return np.stack([annotation.parsing for annotation in found]), joints
