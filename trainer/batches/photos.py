"""Photo files as batches of pictures, all of one size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from data.photo import read_photo
from data.runtime.errors import InputError
from data.runtime.logs import get_logger

_BATCH = 128

_log = get_logger(__name__)


def read_photos(paths: Sequence[str | Path], size: tuple[int, int], workers: int = 0) -> Iterator[Tensor]:
    """Yield photo files in the order given, as uint8 (n, *size, 3), resized.

    Args:
        paths: the files.
        size: height and width to resize to, pixels.
        workers: processes that read ahead; 0 reads in this one.

    Raises:
        InputError: a file cannot be read as a picture.
    """
    for batch in _batches(paths, size, workers):
        if batch.faults:
            raise batch.faults[0]
        yield batch.pixels


def read_readable_photos(
    paths: Sequence[str | Path], size: tuple[int, int], workers: int = 0
) -> Iterator[tuple[list[int], Tensor]]:
    """Yield as `read_photos` does, but leave out, with a warning, each file that cannot be read as a picture.

    With each batch come the numbers of its photos in `paths`.
    """
    for start, batch in zip(count(0, _BATCH), _batches(paths, size, workers), strict=False):
        for fault in batch.faults:
            _log.warning(f"left out: {fault}")
        if batch.places:
            yield [start + place for place in batch.places], batch.pixels


class _Batch(NamedTuple):
    """Photos that were read, their places in the batch, and the faults of the others."""

    places: list[int]
    pixels: Tensor
    faults: list[InputError]


def _batches(paths: Sequence[str | Path], size: tuple[int, int], workers: int) -> Iterator[_Batch]:
    yield from DataLoader(_Photos(paths, size), batch_size=_BATCH, num_workers=workers, collate_fn=_collate)


class _Photos(Dataset["np.ndarray | InputError"]):
    """A fault is returned, not raised: torch would wrap it in the traceback of its worker."""

    def __init__(self, paths: Sequence[str | Path], size: tuple[int, int]) -> None:
        self.paths, self.size = paths, size

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> np.ndarray | InputError:
        try:
            return read_photo(self.paths[index], self.size)
        except InputError as error:
            return error


def _collate(photos: list[np.ndarray | InputError]) -> _Batch:
    read = {place: photo for place, photo in enumerate(photos) if not isinstance(photo, InputError)}
    faults = [photo for photo in photos if isinstance(photo, InputError)]
    pixels = torch.from_numpy(np.stack(list(read.values()))) if read else torch.empty(0, dtype=torch.uint8)
    return _Batch(list(read), pixels, faults)
