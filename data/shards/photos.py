"""The photos of a store: their files as they were when it was asked for last, so that what has changed since is found.

The file holds, of each photo in the order of the plan, its name, the SHA-256 of its file, and what the file system said
of it then. A photo that the file system describes as before need not be read to know its digest.
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from data.arrays import read_arrays
from data.photo import names_below
from data.runtime.files import writing
from data.runtime.progress import progress
from data.runtime.walk import Paths, digest_file, encoded, order

PHOTOS = "photos.npz"

_Rows = TypeVar("_Rows", Sequence[Path], npt.NDArray[Any])

_DELAY = 2.0
_AT_ONCE = 512
"""Photos whose names are made, or whose files' status a thread asks for, in one go."""
_DIGESTED = 1024
"""Files of which one waits for the last before the next are begun."""
_IN_A_TASK = 32
"""Files that a thread digests in one go, as what a pool keeps of a task is more than the work on a small photo."""
_SETTLED = 2_000_000_000
"""Nanoseconds: a file that was written so shortly before may change once more at what looks like the same time."""
_READ_AGAIN = 1000
"""Photos of another time but the same size of which at most so many are read, so that training can begin."""


@dataclass(frozen=True)
class PhotoRecord:
    """N photos and their files.

    Attributes:
        root: the data set's folder.
        taken: the time before the first file was looked at, in nanoseconds.
        names: bytes (N,), each photo's path below the root, with slashes.
        digests: bytes (N,), SHA-256 of each file in hexadecimal, empty if it cannot be read.
        status: int64 (N, 4), each file's size in bytes, the times of the last change to its content and to the file at
            all in nanoseconds, and its inode; -1 if it cannot be found.
    """

    root: str
    taken: int
    names: npt.NDArray[np.bytes_]
    digests: npt.NDArray[np.bytes_]
    status: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def size(self) -> int:
        """Bytes of all columns; its file has few more."""
        return self.names.nbytes + self.digests.nbytes + self.status.nbytes

    @property
    def sources(self) -> tuple[str, ...]:
        """The names as text."""
        return _texts(self.names)

    @property
    def sha256(self) -> tuple[str, ...]:
        """The digests as text."""
        return _texts(self.digests)

    def part(self, rows: slice) -> PhotoRecord:
        """Some of the photos; nothing is copied."""
        return dataclasses.replace(self, names=self.names[rows], digests=self.digests[rows], status=self.status[rows])

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Name and size in bytes of each photo, sorted by name."""
        return ((os.fsdecode(self.names[row]), int(self.status[row, 0])) for row in order(self.names))

    def known_by(self, other: PhotoRecord | None) -> bool:
        """Whether the other record, an earlier one, gives all digests of this one without a file being read."""
        return (
            other is not None
            and self.root == other.root
            and np.array_equal(self.names, other.names)
            and np.array_equal(self.digests, other.digests)
            and np.array_equal(self.status, other.status)
            and bool((self.status[:, 2] < other.taken - _SETTLED).all())
        )


@dataclass(frozen=True)
class Changes:
    """Names of the photos that differ from a record.

    Attributes:
        changed: their files have other bytes.
        gone: their files are not there.
        came: the record does not have them.
    """

    changed: tuple[str, ...]
    gone: tuple[str, ...]
    came: tuple[str, ...]


def record_photos(photos: Sequence[Path], root: Path, known: PhotoRecord | None = None) -> PhotoRecord:
    """Digest photos, and keep what the file system says of them.

    Args:
        photos: their files.
        root: the data set's folder.
        known: an earlier record; of photos whose files look as they did then the digest is taken from it, and their
            bytes are not read.
    """
    taken = time.time_ns()
    names = _encode(photos, root)
    status = _look_at(photos)
    digests = np.zeros(len(photos), "S64")
    if known:
        # In pieces, as the columns of all rows would be copies of those that the record holds.
        columns = (_pieces(column, _AT_ONCE) for column in (rows_of(known, names), status, digests))
        for rows, now, digest in zip(*columns, strict=True):
            old = known.status[rows]
            same = (rows >= 0) & (old == now).all(1) & (old[:, 0] >= 0) & (old[:, 2] < known.taken - _SETTLED)
            digest[same] = known.digests[rows[same]]
    unread = np.flatnonzero(digests == b"")
    with ThreadPoolExecutor() as pool, progress("checking photos", len(unread), delay=_DELAY) as checked:
        for rows in _pieces(unread, _DIGESTED):
            tasks = ([photos[row] for row in some] for some in _pieces(rows, _IN_A_TASK))
            digests[rows] = np.concatenate(list(pool.map(_digests, tasks)))
            checked.advance(len(rows))
    return PhotoRecord(str(root.absolute()), taken, names, digests, status)


def write_photos(folder: Path, record: PhotoRecord) -> None:
    """Write the record of the store in `folder`, whole or not at all."""
    with writing(folder / PHOTOS) as file:
        np.savez(
            file,
            root=np.array(os.fsencode(record.root)),
            taken=np.int64(record.taken),
            names=record.names,
            digests=record.digests,
            status=record.status,
        )


def read_photos(folder: Path) -> PhotoRecord | None:
    """Read the record of the store in `folder`; None if it has none that can be read: it can be taken anew."""
    try:
        file = read_arrays(folder / PHOTOS)
        return PhotoRecord(
            os.fsdecode(file["root"].item()), int(file["taken"]), file["names"], file["digests"], file["status"]
        )
    except (OSError, ValueError, KeyError):
        return None


def known_photos(stores: Path, dataset: str, root: Path) -> PhotoRecord | None:
    """Give the record that was taken last of the data set in this folder, among its stores' in the folder `stores`."""
    files = sorted(stores.glob(f"{dataset}-*/{PHOTOS}"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    records = (read_photos(file.parent) for file in files)
    return next((record for record in records if record and record.root == str(root.absolute())), None)


def compare_photos(record: PhotoRecord, photos: Sequence[Path], root: Path) -> Changes:
    """Compare a record with the data set as it is now.

    A photo of the same size and time counts as unchanged, wherever it lies now. If only the time is another, its bytes
    are read; of very many such photos (a copy of the data set that did not keep the times) only some, spread evenly.

    Args:
        record: of the photos as they were.
        photos: those there are now.
        root: the data set's folder.
    """
    names = _encode(photos, root)
    status = _look_at(photos)
    there = np.flatnonzero(status[:, 0] >= 0)
    names, status = names[there], status[there]
    rows = rows_of(record, names)
    old = record.status[rows]
    changed = (rows >= 0) & (status[:, 0] != old[:, 0])
    doubtful = np.flatnonzero((rows >= 0) & ~changed & (status[:, 1] != old[:, 1]))
    for row in doubtful[:: -(-len(doubtful) // _READ_AGAIN) or 1]:
        changed[row] = digest_file(photos[there[row]]).encode() != record.digests[rows[row]]
    # A photo that was not there at the sync is no loss.
    gone = record.status[:, 0] >= 0
    gone[rows[rows >= 0]] = False
    return Changes(_texts(names[changed]), _texts(record.names[gone]), _texts(names[rows < 0]))


def _encode(photos: Sequence[Path], root: Path) -> npt.NDArray[np.bytes_]:
    if isinstance(photos, Paths) and photos.root == root:
        return photos.names
    return encoded(name for piece in _pieces(photos, _AT_ONCE) for name in names_below(piece, root))


def _digests(photos: Sequence[Path]) -> npt.NDArray[np.bytes_]:
    return np.array([digest_file(photo) for photo in photos], "S64")


def _look_at(photos: Sequence[Path]) -> npt.NDArray[np.int64]:
    """What the file system says of each file, int64 (N, 4)."""
    status = np.empty((len(photos), 4), np.int64)
    with ThreadPoolExecutor() as pool:
        for _ in pool.map(_note_status, _pieces(photos, _AT_ONCE), _pieces(status, _AT_ONCE)):
            pass
    return status


def _pieces(rows: _Rows, length: int) -> Iterator[_Rows]:
    return (rows[start : start + length] for start in range(0, len(rows), length))


def _note_status(photos: Sequence[Path], status: npt.NDArray[np.int64]) -> None:
    status[:] = [_status(str(photo)) for photo in photos]


def _status(photo: str) -> tuple[int, int, int, int]:
    try:
        found = os.stat(photo)
    except OSError:
        return -1, -1, -1, -1
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def rows_of(record: PhotoRecord, names: npt.NDArray[np.bytes_]) -> npt.NDArray[np.intp]:
    """The row of each name in a record, -1 if it has none."""
    if np.array_equal(record.names, names):
        return np.arange(len(names))
    if not len(record):
        return np.full(len(names), -1)
    order = np.argsort(record.names)
    sorted_names = record.names[order]
    places = np.searchsorted(sorted_names, names).clip(max=len(record) - 1)
    return np.where(sorted_names[places] == names, order[places], -1)


def _texts(names: npt.NDArray[np.bytes_]) -> tuple[str, ...]:
    return tuple(map(os.fsdecode, names))
