"""Folders as data sets come in them."""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from data.runtime.errors import InputError
from data.runtime.logs import get_logger
from data.runtime.walk import Paths, walk

SUFFIXES = frozenset({
    ".apng", ".avif", ".bmp", ".gif", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg",
    ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp",
})  # fmt: skip
"""Endings, in either case, of the pictures that are read."""

_NEVER_PICTURES = frozenset({"thumbs.db", "desktop.ini"})
_SHOWN = 4

_log = get_logger(__name__)


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


def images(folder: Path, depth: int | None = None) -> Paths:
    """Return the pictures in `folder` and the folders inside it, sorted by the parts of their paths.

    Hidden files are passed over without a word, whatever else is left out is counted and said once: files with an
    ending that is none of `SUFFIXES`, and links to folders that were read already.

    Args:
        folder: where to look.
        depth: how many levels below the folder each picture must lie (1: in it); None where it does not matter.

    Raises:
        InputError: there is no picture, or one lies at another level.
    """
    found = walk(folder)
    by_name = np.fromiter((path.suffix.lower() in SUFFIXES for path in found.files), bool, len(found.files))
    pictures = found.files.only(by_name)
    if not pictures:
        raise InputError(f"{folder}: no picture in it; see that the data set was unpacked whole")
    misplaced = [path for path in pictures if len(path.relative_to(folder).parts) != depth] if depth else []
    if misplaced:
        place = "/".join([folder.name, *["<folder>"] * ((depth or 1) - 1), "<picture>"])
        raise InputError(
            f"{misplaced[0]}: at a level where it cannot be meant ({len(misplaced):,} in all), expected {place}: "
            "unpack the data set anew, or move its folders"
        )
    _say_what_is_left_out(folder, found.files.only(~by_name), found.repeated)
    return pictures


def images_of_people(folder: Path) -> list[tuple[Path, str]]:
    """Return the pictures of `images` with the name of the folder, directly in `folder`, that each person has.

    Raises InputError where that cannot be: a picture lies in no person's folder, or all of a person's lie further down.
    """
    pictures = images(folder)
    parts = [path.relative_to(folder).parts for path in pictures]
    people = {below[0] for below in parts if len(below) == 2}
    for path, below in zip(pictures, parts, strict=True):
        if below[0] not in people:
            raise InputError(
                f"{path}: at a level where it cannot be meant, expected {folder.name}/<person>/<picture>: "
                "unpack the data set anew, or move its folders"
            )
    return [(path, below[0]) for path, below in zip(pictures, parts, strict=True)]


def _say_what_is_left_out(folder: Path, others: Sequence[Path], repeated: Sequence[Path]) -> None:
    named = (path for path in others if path.name.lower() not in _NEVER_PICTURES)
    kinds = Counter(path.suffix.lower() or "without an ending" for path in named)
    counted = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common(_SHOWN))
    if len(kinds) > _SHOWN:
        counted += ", ..."
    lines = (
        [f"{folder}: {kinds.total():,} files are left out, as they are no pictures by their names: {counted}"]
        if kinds
        else []
    )
    if repeated:
        lines.append(
            f"{folder}: {len(repeated):,} links to folders that are read already are left out, such as {repeated[0]}"
        )
    for line in lines:
        warn_once(line)


@cache
def warn_once(line: str) -> None:
    """Warn, once a process, whatever the number of times that a data set is read."""
    _log.warning(line)


@cache
def say_once(line: str) -> None:
    """Say, once a process, what is left out as it should be."""
    _log.info(line)


def read_text(path: Path) -> str:
    """Return the content of a text file: UTF-8, or UTF-16 where its byte-order mark says so, without the mark.

    Raises InputError where it cannot be read as such.
    """
    try:
        content = path.read_bytes()
        utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        return content.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: neither UTF-8 nor UTF-16 ({error}): save it as UTF-8") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}): see that it is there and may be read") from None


def named_images(folder: Path, pattern: str, example: str, depth: int = 1) -> list[tuple[Path, re.Match[str]]]:
    """Return the pictures of `images` with what `pattern` finds in their names, without the suffix.

    Raises InputError for a picture whose whole name does not fit (the message shows `example`), or that does not lie
    `depth` levels below the folder.
    """
    found = []
    for path in images(folder, depth):
        match = re.fullmatch(pattern, path.stem)
        if match is None:
            raise misnamed(path, example)
        found.append((path, match))
    return found


def misnamed(path: Path, expected: str) -> InputError:
    """Return the error for a picture whose name does not carry its labels as `expected` says."""
    return InputError(f"{path}: expected a name like {expected}; rename or remove it")
