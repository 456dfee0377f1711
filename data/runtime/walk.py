"""Walking a folder: the one way in which files are found, whether they are to be read or to be digested.

What is found is one array of names: as objects of Python, a million paths would be half a gigabyte.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import overload

import numpy as np
import numpy.typing as npt

_PIECE = 1 << 20
_AT_ONCE = 1024
"""Names that are objects of Python at a time."""


class Paths(Sequence[Path]):
    """Files below `root`, each path made when it is asked for.

    Attributes:
        root: the folder.
        names: bytes (N,), each file's path below it as the file system has it, with slashes; all take as many bytes as
            the longest.
    """

    def __init__(self, root: Path, names: npt.NDArray[np.bytes_]) -> None:
        self.root, self.names = root, names

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, rows: int) -> Path: ...

    @overload
    def __getitem__(self, rows: slice) -> Paths: ...

    def __getitem__(self, rows: int | slice) -> Path | Paths:
        if isinstance(rows, slice):
            return Paths(self.root, self.names[rows])
        return self.root / os.fsdecode(self.names[rows])

    def only(self, wanted: npt.NDArray[np.bool_]) -> Paths:
        """Those of which `wanted`, bool (N,), is true."""
        return Paths(self.root, self.names[wanted])


@dataclass(frozen=True)
class Walk:
    """What lies below a folder: its `files`, and the links to folders that were not followed (`repeated`).

    Both are sorted by the parts of their paths, the same on every disk.
    """

    files: Paths
    repeated: tuple[Path, ...]


def walk(folder: Path, hidden: bool = False) -> Walk:
    """Find the files in `folder` and in all folders below it, `hidden` ones only if asked for.

    Symbolic links are followed, to files and to folders, but each folder is entered once: a link that leads to one
    already seen, or upwards, is not followed. Folders themselves come before links to them, so that what is found does
    not depend on names. A link that leads nowhere counts as a file, so that whoever reads it can say so.
    """
    repeated: list[Path] = []
    names = encoded(_names(folder, hidden, repeated))
    return Walk(Paths(folder, names[order(names, by_parts=True)]), tuple(sorted(repeated, key=lambda path: path.parts)))


def _names(folder: Path, hidden: bool, repeated: list[Path]) -> Iterator[str]:
    """The names below `folder` of the files that `walk` finds, as they come; links not followed go into `repeated`."""
    upwards = (folder.absolute(), *folder.absolute().parents)
    seen = {identity for above in upwards if (identity := _identity(above))}
    folders, links = [folder], list[Path]()
    while folders or links:
        if not folders:
            links.sort(key=lambda path: path.parts, reverse=True)
            link = links.pop()
            if _identity(link) in seen:
                repeated.append(link)
                continue
            folders.append(link)
        entered = folders.pop()
        if identity := _identity(entered):
            seen.add(identity)
        above = "" if entered == folder else f"{entered.relative_to(folder).as_posix()}/"
        with os.scandir(entered) as entries:
            for entry in entries:
                if not hidden and (entry.name.startswith(".") or entry.name == "__MACOSX"):
                    continue
                if not entry.is_dir():
                    yield above + entry.name
                elif entry.is_symlink():
                    links.append(entered / entry.name)
                else:
                    folders.append(entered / entry.name)


def encoded(names: Iterable[str]) -> npt.NDArray[np.bytes_]:
    """Names as the file system has them, bytes (N,)."""
    return _joined(map(os.fsencode, names))


def order(names: npt.NDArray[np.bytes_], by_parts: bool = False) -> npt.NDArray[np.intp]:
    """Which row comes first, second and so on where names are compared letter by letter, by code points.

    Names that are not valid UTF-8 are text as `os.fsdecode` gives it.

    Args:
        names: bytes (N,), as the file system has them.
        by_parts: compare folder with folder, so that a slash comes before any letter.
    """
    texts = (os.fsdecode(name).replace("/", "\0" if by_parts else "/") for name in names)
    return np.argsort(_joined(text.encode("utf-8", "surrogatepass") for text in texts))


def _joined(names: Iterable[bytes]) -> npt.NDArray[np.bytes_]:
    left = iter(names)
    pieces = [np.empty(0, "S1")]
    while piece := list(islice(left, _AT_ONCE)):
        pieces.append(np.array(piece, "S"))
    return np.concatenate(pieces)


def digest_file(path: Path) -> str:
    """SHA-256 of a file in hexadecimal, "" if it cannot be read."""
    try:
        return digest_readable(path)
    except OSError:
        return ""


def digest_readable(path: Path) -> str:
    """SHA-256 of a file in hexadecimal, read piece by piece; OSError if it cannot be read."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def digest_files(folder: Path, suffixes: Collection[str]) -> str:
    """SHA-256 of the names and bytes of all files that can be reached below a folder, hidden and linked ones too.

    Of a link to a folder that is seen anyway only its target counts.

    Args:
        folder: where to look.
        suffixes: endings, in small letters, of the files that count.
    """
    digest = hashlib.sha256()
    found = walk(folder, hidden=True)
    for path in found.files:
        if path.suffix.lower() in suffixes:
            digest.update(f"{path.relative_to(folder).as_posix()!r} {digest_file(path)}\n".encode())
    for link in found.repeated:
        target = os.path.relpath(link.resolve(), folder.resolve())
        digest.update(f"{link.relative_to(folder).as_posix()!r} -> {target!r}\n".encode())
    return digest.hexdigest()


def _identity(folder: Path) -> tuple[int, int] | None:
    """What is the same for all paths to one folder."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
