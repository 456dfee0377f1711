"""Seals: what a shard's file was when it was whole, so that any change to it is found, cheaply or for certain."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from data.runtime.walk import digest_readable


@dataclass(frozen=True)
class Seal:
    """A file as it was when its digest was made.

    Attributes:
        sha256: of all its bytes, in hexadecimal.
        size: in bytes.
        modified: time of the last change to its content, in nanoseconds.
        changed: time of the last change to the file at all, which no program can set.
        inode: its number on the disk, another one for a copy.
    """

    sha256: str
    size: int
    modified: int
    changed: int
    inode: int

    @staticmethod
    def of(path: Path) -> Seal:
        """Read a file to its end; OSError if it cannot be read."""
        status = path.stat()
        digest = digest_readable(path)
        return Seal(digest, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)

    def untouched(self, path: Path) -> bool:
        """Whether nothing has written to the file since, by its size, times and inode; its bytes are not read.

        A copy counts as touched. What a failing disk has done to the bytes does not show here.
        """
        try:
            status = path.stat()
        except OSError:
            return False
        now = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        return now == (self.size, self.modified, self.changed, self.inode)
