"""A file that is either whole or absent."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SUFFIX = ".part"
"""Ends the name of every file that is still being written."""


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; what was written there takes the place of `path` when the block ends.

    The data are flushed to disk before the rename and the folder after it, so a file with its final name is whole even
    after a power cut. If the block raises, the temporary file is removed and `path` stays as it was.
    """
    writer = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    temporary = path.with_name(f".{path.name}.{writer}{SUFFIX}")
    try:
        yield temporary
        _flush(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _flush(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Write `value` to `path` as JSON, indented, in plain ASCII (so that any file name survives the way)."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1) + "\n", encoding="ascii")


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
