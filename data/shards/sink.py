"""What HDF5 writes a shard into: a file that tells of a full disk without taking the process with it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py


class Sink(io.RawIOBase):
    """A new file whose writing never fails in HDF5's eyes; the first error is kept for whoever asks.

    HDF5 cannot give up a file whose writes fail: closing it ends in a segmentation fault, and so may reading back what
    never reached the disk. From the first error on, all there is is therefore in memory.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._content: io.FileIO | io.BytesIO = io.FileIO(path, "x+")
        self._error: OSError | None = None

    def write(self, content: Any) -> int:
        """Write all of it."""
        whole = left = memoryview(content).cast("B")
        place = self._content.tell()
        try:
            while left:
                left = left[self._content.write(left) :]
        except OSError as error:
            self._go_on_in_memory(error, place)
            self._content.write(whole)
        return len(whole)

    def truncate(self, size: int | None = None) -> int:
        """Set the file's size."""
        place = self._content.tell()
        try:
            return self._content.truncate(size)
        except OSError as error:
            self._go_on_in_memory(error, place)
            return self._content.truncate(size)

    def readinto(self, buffer: Any) -> int:
        """Read up to as many bytes as the buffer holds."""
        return self._content.readinto(buffer)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place."""
        return self._content.seek(offset, whence)

    def close(self) -> None:
        """Close the file."""
        self._content.close()
        super().close()

    def check(self) -> None:
        """Raise the first error that was met."""
        if self._error:
            raise self._error

    def _go_on_in_memory(self, error: OSError, place: int) -> None:
        self._error = OSError(error.errno, error.strerror, str(self._path))
        self._content.seek(0)
        memory = io.BytesIO(self._content.read())
        memory.seek(place)
        self._content.close()
        self._content = memory


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
