"""Photos of a folder, found and encoded; those that cannot be read are left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from data import open_benchmark
from data.record import paths_of
from data.runtime.errors import InputError
from data.runtime.progress import progress
from trainer.batches import read_readable_photos
from trainer.encoder import Encoder

_SHORT = 3.0
"""Seconds for which no bar appears."""


def find_photos(folder: Path) -> Sequence[Path]:
    """Find the pictures in a folder and the folders inside it, as `DATASET=folder` does.

    Raises:
        InputError: no such folder, or no picture in it.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder: give a folder of photos as GALLERY")
    return paths_of(open_benchmark("folder", folder).train)


def encode_photos(
    encoder: Encoder, paths: Sequence[Path], workers: int = 0
) -> Iterator[tuple[list[int], npt.NDArray[np.float32]]]:
    """Yield features, float32 (n, d), batch by batch as they are made, with the numbers of their photos in `paths`.

    A photo that cannot be read is left out with a warning.
    """
    with progress("encoding", len(paths), delay=_SHORT) as shown:
        for numbers, pixels in read_readable_photos(paths, encoder.input.size, workers):
            yield numbers, encoder.encode([pixels]).cpu().numpy()
            shown.advance(len(numbers))
