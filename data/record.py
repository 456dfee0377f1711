"""One photo of a benchmark and what its authors say about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


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
