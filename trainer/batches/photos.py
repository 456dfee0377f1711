"""Photo files as batches of pictures, all of one size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from data.photo import read_photo
from data.runtime.errors import InputError

_BATCH = 128


def read_photos(paths: Sequence[str | Path], size: tuple[int, int], workers: int = 0) -> Iterator[Tensor]:
    """Yield photo files in the order given, as uint8 (n, *size, 3), resized.

    Args:
        paths: the files.
        size: height and width to resize to, pixels.
        workers: processes that read ahead; 0 reads in this one.

    Raises:
        InputError: a file cannot be read as a picture.
    """
    loader = DataLoader(_Photos(paths, size), batch_size=_BATCH, num_workers=workers, collate_fn=_collate)
    for batch in loader:
        if isinstance(batch, InputError):
            raise batch
        yield batch


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


def _collate(photos: list[np.ndarray | InputError]) -> Tensor | InputError:
    pixels = []
    for photo in photos:
        if isinstance(photo, InputError):
            return photo
        pixels.append(photo)
    return torch.from_numpy(np.stack(pixels))
