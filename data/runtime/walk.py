"""Walking a folder: the one way in which files are found, whether they are to be read or to be digested."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

_PIECE = 1 << 20


@dataclass(frozen=True)
class Walk:
    """What lies below a folder: its `files`, and the links to folders that were not followed (`repeated`).

    Both are sorted by the parts of their paths, the same on every disk.
    """

    files: tuple[Path, ...]
    repeated: tuple[Path, ...]


def walk(folder: Path, hidden: bool = False) -> Walk:
    """Find the files in `folder` and in all folders below it, `hidden` ones only if asked for.

    Symbolic links are followed, to files and to folders, but each folder is entered once: a link that leads to one
    already seen, or upwards, is not followed. Folders themselves come before links to them, so that what is found does
    not depend on names. A link that leads nowhere counts as a file, so that whoever reads it can say so.
    """
    upwards = (folder.absolute(), *folder.absolute().parents)
    seen = {identity for above in upwards if (identity := _identity(above))}
    files: list[Path] = []
    repeated: list[Path] = []
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
        with os.scandir(entered) as entries:
            for entry in entries:
                if not hidden and (entry.name.startswith(".") or entry.name == "__MACOSX"):
                    continue
                path = entered / entry.name
                if not entry.is_dir():
                    files.append(path)
                elif entry.is_symlink():
                    links.append(path)
                else:
                    folders.append(path)
    return Walk(_sorted(files), _sorted(repeated))


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


def _sorted(paths: list[Path]) -> tuple[Path, ...]:
    # As by `path.parts`, of which every path would keep its own.
    return tuple(sorted(paths, key=lambda path: str(path).replace("/", "\0")))
