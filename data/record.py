"""One photo of a benchmark and what its authors say about it; many of which nothing is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """A photo, who is in it, which camera took it and which clothes are worn.

    `path` is absolute or relative to the current folder. Labels are names, not numbers, and only have a meaning inside
    one benchmark; each is None where nobody knows. `clothes` names an outfit of a person: two people never share one.
    """

    path: Path
    person: str | None = None
    camera: str | None = None
    clothes: str | None = None


class Unlabelled(Sequence[ImageRecord]):
    """Photos of which only the files are known, each record made when it is asked for.

    Attributes:
        paths: their files.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, rows: int) -> ImageRecord: ...

    @overload
    def __getitem__(self, rows: slice) -> Unlabelled: ...

    def __getitem__(self, rows: int | slice) -> ImageRecord | Unlabelled:
        return Unlabelled(self.paths[rows]) if isinstance(rows, slice) else ImageRecord(self.paths[rows])

    def __eq__(self, other: object) -> bool:
        """Whether the other is a list, or another such sequence, of the same records."""
        if not isinstance(other, list | Unlabelled):
            return NotImplemented
        return len(self) == len(other) and all(one == another for one, another in zip(self, other, strict=True))


def paths_of(records: Sequence[ImageRecord]) -> Sequence[Path]:
    """Return the files of photos; a path is made when it is asked for where the record is."""
    return records.paths if isinstance(records, Unlabelled) else [record.path for record in records]
