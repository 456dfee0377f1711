"""The lock of a store's folder: one sync at a time."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from data.runtime.errors import RunError
from data.runtime.files import SUFFIX

_FILE = ".lock"


@contextlib.contextmanager
def only_sync(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which dies with this process, and clear what killed syncs left half written.

    Raises:
        RunError: another sync holds it.
    """
    with (folder / _FILE).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RunError(f"{folder}: another sync is at work on it: wait for its end, or stop it") from None
        for leftover in folder.glob(f".*{SUFFIX}"):
            leftover.unlink(missing_ok=True)
        yield
