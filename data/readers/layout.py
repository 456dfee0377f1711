"""Folders as data sets come in them."""

from __future__ import annotations

import os
import re
from pathlib import Path

from data.runtime.errors import InputError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif"})


def require(root: Path, benchmark: str, *parts: str) -> None:
    """Raise InputError unless `root` holds every one of `parts` (paths inside it); say what is there instead."""
    if not root.is_dir():
        raise InputError(f"{root} is not a folder: give the folder {benchmark} was unpacked in as DATA_ROOT")
    missing = [part for part in parts if not (root / part).exists()]
    if missing:
        found = sorted(entry.name + "/" * entry.is_dir() for entry in root.iterdir() if not entry.name.startswith("."))
        shown = ", ".join(found[:8]) + (", ..." if len(found) > 8 else "") if found else "nothing"
        raise InputError(
            f"{root} is not laid out as {benchmark} is: {', '.join(missing)} missing, found {shown}; "
            "give the folder that directly holds them as DATA_ROOT"
        )


def images(folder: Path) -> list[Path]:
    """Return the pictures in `folder` and the folders inside it, by their suffix in either case, sorted by path.

    Other files (Thumbs.db, .DS_Store, lists) and hidden ones are passed over. The order is that of the paths' names
    and the same on every disk. Raises InputError where there is no picture.
    """
    found = []
    for parent, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith((".", "__MACOSX"))]
        found += [Path(parent, name) for name in files if _is_picture(name)]
    if not found:
        raise InputError(f"{folder}: no picture in it; see that the data set was unpacked whole")
    return sorted(found, key=lambda path: path.parts)


def named_images(folder: Path, pattern: str, example: str) -> list[tuple[Path, re.Match[str]]]:
    """Return the pictures of `images` with what `pattern` finds in their names, without the suffix.

    Raises InputError for a picture whose whole name does not fit; the message shows `example`.
    """
    found = []
    for path in images(folder):
        match = re.fullmatch(pattern, path.stem)
        if match is None:
            raise misnamed(path, example)
        found.append((path, match))
    return found


def misnamed(path: Path, expected: str) -> InputError:
    """Return the error for a picture whose name does not carry its labels as `expected` says."""
    return InputError(f"{path}: expected a name like {expected}; rename or remove it")


def _is_picture(name: str) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES
