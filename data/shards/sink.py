"""What HDF5 writes a shard into: a file that tells of a full disk without taking the process with it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py


class Sink(io.FileIO):
    """A new file whose writing never fails in HDF5's eyes; the first error is kept for whoever asks.

    HDF5 cannot give up a file whose writes fail: closing it ends in a segmentation fault.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "x+")
        self._path = path
        self._error: OSError | None = None

    def write(self, content: Any) -> int:
        """Write all of it, or keep the error."""
        left = memoryview(content).cast("B")
        size = len(left)
        try:
            while left:
                left = left[super().write(left) :]
        except OSError as error:
            self._keep(error)
        return size

    def truncate(self, size: int | None = None) -> int:
        """Set the file's size, or keep the error."""
        try:
            return super().truncate(size)
        except OSError as error:
            self._keep(error)
            return size or 0

    def check(self) -> None:
        """Raise the first error that was met."""
        if self._error:
            raise self._error

    def _keep(self, error: OSError) -> None:
        self._error = self._error or OSError(error.errno, error.strerror, str(self._path))


@contextmanager
def writing_hdf5(path: Path) -> Iterator[tuple[h5py.File, Sink]]:
    """Give a new HDF5 file and what it is written into.

    Python writes the bytes, so HDF5 does not ask for a lock either, which network disks often refuse.

    Raises:
        OSError: something could not be written, whenever that was.
    """
    with Sink(path) as sink:
        try:
            # In version 1.10 of HDF5's layout the metadata carry checksums too.
            with h5py.File(sink, "w", libver="v110") as file:
                yield file, sink
        except (OSError, RuntimeError):
            # HDF5 may stumble over what was not written, and knows no reason.
            sink.check()
            raise
        sink.check()
