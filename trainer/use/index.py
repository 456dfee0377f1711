"""Index: the features of a gallery's photos in a file, made once and kept in step with the folder."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import numpy.typing as npt

from data.photo import name_below
from data.runtime.errors import InputError
from data.runtime.files import replacing
from data.runtime.logs import get_logger
from data.runtime.places import SEARCHES
from data.shards.sink import writing_hdf5
from trainer.encoder import Encoder
from trainer.runs import Run
from trainer.use.photos import encode_photos, find_photos

_FORMAT = 1
_NAME_LETTERS = 40  # of a gallery's name in that of its folder of indexes: with its digest, any file system takes it

_log = get_logger(__name__)


class Stamp(NamedTuple):
    """What tells a changed file: its size in bytes, and the time it was written at in nanoseconds."""

    size: int
    written: int


@dataclass(frozen=True)
class Index:
    """The photos of a gallery that could be read.

    Attributes:
        names: their paths below the gallery, with slashes.
        stamps: of each file when it was encoded.
        features: float32 (N, d), each of length 1.
    """

    names: tuple[str, ...]
    stamps: tuple[Stamp, ...]
    features: npt.NDArray[np.float32]


def index_path(run: Run, checkpoint: str, gallery: Path) -> Path:
    """Return where the index of a gallery by a run's encoder lies."""
    whole = gallery.resolve()
    digest = hashlib.sha256(os.fsencode(whole)).hexdigest()[:8]
    return SEARCHES / f"{whole.name[:_NAME_LETTERS]}-{digest}" / f"{run.name}-{checkpoint}.h5"


def update_index(path: Path, encoder: Encoder, gallery: Path, workers: int = 0) -> Index:
    """Bring the index at `path` in step with a gallery: new and changed photos are encoded, those gone are dropped.

    An index of another encoder is made anew. What was encoded stays when the work is interrupted. A photo that cannot
    be read is left out with a warning, and tried again the next time.

    Args:
        path: the file, which need not be there.
        encoder: the encoder.
        gallery: a folder of photos.
        workers: processes that read ahead; 0 reads in this one.

    Raises:
        InputError: there is no such gallery, or no photo in it can be read.
    """
    photos = find_photos(gallery)
    names = [name_below(photo, gallery) for photo in photos]
    stamps = [_stamp(photo) for photo in photos]
    digest = encoder.digest
    before = _read(path, digest) or Index((), (), np.empty((0, encoder.dimensions), np.float32))
    row_of = {entry: row for row, entry in enumerate(zip(before.names, before.stamps, strict=True))}
    rows = [row_of.get(entry) for entry in zip(names, stamps, strict=True)]
    kept = [number for number, row in enumerate(rows) if row is not None]
    fresh = [number for number, row in enumerate(rows) if row is None]
    batches = [(kept, before.features[[row for row in rows if row is not None]])]
    gone = len(set(before.names) - set(names))
    try:
        if fresh:
            _log.info(f"{gallery}: {len(fresh):,} of {len(photos):,} photos are to be encoded")
        for places, made in encode_photos(encoder, [photos[number] for number in fresh], workers):
            batches.append(([fresh[place] for place in places], made))
    finally:
        numbers = [number for some, _ in batches for number in some]
        index = _sorted(numbers, names, stamps, np.concatenate([made for _, made in batches]))
        if len(numbers) > len(kept) or len(kept) < len(before.names):
            _write(path, index, digest, gallery)
    if gone:
        _log.info(f"{gallery}: {gone:,} photos that are gone were dropped")
    if not index.names:
        raise InputError(f"{gallery}: none of its photos can be read (named above)")
    return index


def _sorted(
    numbers: Sequence[int], names: Sequence[str], stamps: Sequence[Stamp], features: npt.NDArray[np.float32]
) -> Index:
    """The index of the photos of these numbers, in the order of the numbers."""
    order = np.argsort(numbers)
    taken = [numbers[place] for place in order]
    return Index(tuple(names[n] for n in taken), tuple(stamps[n] for n in taken), features[order])


def _stamp(photo: Path) -> Stamp:
    """The stamp of a file; of one that cannot be looked at, one that no file has."""
    try:
        status = photo.stat()
    except OSError:
        return Stamp(-1, 0)
    return Stamp(status.st_size, status.st_mtime_ns)


def _read(path: Path, digest: str) -> Index | None:
    """The index in a file; None if there is none, or none of this encoder."""
    if not path.exists():
        return None
    try:
        with h5py.File(path, "r", locking=False) as file:
            if (file.attrs["format"], file.attrs["encoder"]) != (_FORMAT, digest):
                _log.info(f"{path}: of another encoder, made anew")
                return None
            names = tuple(os.fsdecode(name) for name in file["paths"][:])
            stamps = tuple(Stamp(int(size), int(written)) for size, written in file["stamps"][:])
            return Index(names, stamps, file["features"][:])
    except (OSError, KeyError, ValueError) as error:
        _log.warning(f"{path} is damaged ({error}): made anew")
        return None


def _write(path: Path, index: Index, digest: str, gallery: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary, writing_hdf5(temporary) as (file, _):
        file.attrs.update(format=_FORMAT, encoder=digest, gallery=np.bytes_(os.fsencode(gallery.absolute())))
        file.create_dataset("features", data=index.features, fletcher32=True, chunks=True if len(index.names) else None)
        names = [os.fsencode(name) for name in index.names]
        file.create_dataset("paths", data=names, dtype=h5py.string_dtype())
        file["stamps"] = np.array(index.stamps, np.int64).reshape(-1, 2)
