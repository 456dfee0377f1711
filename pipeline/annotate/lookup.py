"""Lookup: which of many files belongs to which photo, and what to say where that is unclear."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from data.runtime.errors import InputError
from data.runtime.logs import get_logger
from data.runtime.walk import walk

_log = get_logger(__name__)


@dataclass(frozen=True)
class Lookup:
    """Files of a folder, one a photo: where the photo lies below its root, or else directly in the folder.

    Attributes:
        folder: of the files.
        kind: what they are, in words.
        ending: of their names, in place of the photo's suffix.
        whole: they lie only as the photos do, and keep the photo's suffix before the ending.
    """

    folder: Path
    kind: str
    ending: str
    whole: bool = False

    def find(self, name: str) -> Path | None:
        """The file of a photo, None if there is none; a link that leads nowhere is found, so that it is told of."""
        return next((file for file in self._places(name) if os.path.lexists(file)), None)

    def missing(self, name: str) -> str:
        """Say that a photo has no file."""
        return f"{name}: no {self.kind} for it: looked for {self._places(name)[0]}"

    def check(self, names: Sequence[str]) -> None:
        """See that every photo has a file of its own; InputError where two share one, or where none has any."""
        owners = match(names, self.find, self._shared)
        if len(owners) < len(names):
            lacking = next(name for name in names if self.find(name) is None)
            files = (file for file in walk(self.folder).files if not self.whole or file.name.endswith(self.ending))
            spare = (file for file in files if file not in owners)
            tell_missing(self.folder, self.kind, (len(owners), len(names)), self._places(lacking)[0], spare)

    def _places(self, name: str) -> list[Path]:
        photo = PurePosixPath(name)
        if self.whole:
            return [self.folder / photo.with_name(photo.name + self.ending)]
        file = photo.with_name(photo.stem + self.ending)
        # A photo outside the data set, such as a template, has no place of its own in the folder.
        places = [PurePosixPath(file.name)] if ".." in file.parts else [file, PurePosixPath(file.name)]
        return [self.folder / place for place in places]

    def _shared(self, file: Path, first: str, second: str) -> InputError:
        return InputError(
            f"{file}: is it the {self.kind} of {first} or of {second}? Put each where its photo lies below the data "
            "set's folder"
        )


def match(
    names: Iterable[str], find: Callable[[str], Path | None], shared: Callable[[Path, str, str], InputError]
) -> dict[Path, str]:
    """Give the photo that each thing found belongs to.

    Args:
        names: the photos'.
        find: gives what belongs to a photo, or None.
        shared: makes the error for something that belongs to two.

    Raises:
        InputError: two photos share something.
    """
    owners: dict[Path, str] = {}
    for name in names:
        found = find(name)
        if found is not None and owners.setdefault(found, name) != name:
            raise shared(found, owners[found], name)
    return owners


def tell_missing(source: Path, kind: str, counts: tuple[int, int], wanted: Path, spare: Iterable[Path]) -> None:
    """Say how many photos lack an annotation, what was looked for, and what is there instead.

    Args:
        source: folder or file of the annotations.
        kind: what they are, in words.
        counts: how many photos have one, and how many there are.
        wanted: what was looked for.
        spare: what belongs to no photo.

    Raises:
        InputError: no photo has any.
    """
    found, everything = counts
    stem = _plain(wanted.stem)
    others = list(spare)
    near = next((other for other in others if _plain(other.name).startswith(stem)), others[0] if others else None)
    instead = "nothing else is there" if near is None else f"found {near}"
    if near is not None and _plain(near.name) == _plain(wanted.name) and near.name.lower() != wanted.name.lower():
        instead += ", the same letters in another form of Unicode"
    line = f"{source}: {found:,} of {everything:,} photos have a {kind}: looked for {wanted}, {instead}"
    if not found:
        raise InputError(f"{line}: name them after the photos")
    _log.warning(line)


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
