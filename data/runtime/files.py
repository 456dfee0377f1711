"""A file, or a folder, that is either whole or absent."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

SUFFIX = ".part"
"""Ends the name of every file that is still being written."""


@contextlib.contextmanager
def replacing(path: Path, flushed: bool = True) -> Iterator[Path]:
    """Give a temporary path beside `path`; what was written there takes the place of `path` when the block ends.

    If the block raises, what was written is removed and `path` stays as it was.

    Args:
        path: the file; or a folder, which may not be there yet.
        flushed: the data are on the disk before the rename and the folder's entry after it, so that a file with its
            final name is whole even after a power cut. It costs milliseconds: for thousands of small files that can be
            made again, and for a folder, do without.
    """
    writer = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    temporary = path.with_name(f".{path.name}.{writer}{SUFFIX}")
    try:
        yield temporary
        if flushed:
            _flush(temporary)
        temporary.replace(path)
    except BaseException:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)
        raise
    if flushed:
        _flush(path.parent)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """Give a binary file that takes the place of `path` when the block ends, as `replacing` does.

    Raises:
        OSError: it could not be written; whatever error a library made of that.
    """
    with replacing(path) as temporary, temporary.open("wb") as file:
        try:
            yield file
        except RuntimeError as error:
            if isinstance(error.__context__, OSError):
                raise OSError(error.__context__.errno, error.__context__.strerror, str(path)) from error
            raise


def write_json(path: Path, value: Any) -> None:
    """Write `value` to `path` as JSON, indented, in plain ASCII (so that any file name survives the way)."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1) + "\n", encoding="ascii")


def write_lines(path: Path, lines: list[str]) -> None:
    """Write lines of text, whole or not at all."""
    with replacing(path) as part:
        part.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
