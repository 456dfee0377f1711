"""The lock of a folder: one process at a time works on it, on file systems with and without locks."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from data.runtime.errors import RunError
from data.runtime.files import SUFFIX
from data.runtime.logs import get_logger

_FILE = ".lock"
_HOLDER = ".holder"
# What file systems without locks, some network disks among them, answer.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)

FILES = (_FILE, _HOLDER)
"""Names of what a lock leaves in a folder."""

_log = get_logger(__name__)


@contextlib.contextmanager
def locked(folder: Path, work: str) -> Iterator[None]:
    """Hold a folder's lock, which ends with this process; what killed processes leave half written is cleared.

    Where the file system has no locks, a file that names this machine and process stands for one; what a process that
    is gone has left of it is taken away, on the same machine.

    Args:
        folder: what to work on.
        work: what is done there, for the message: "sync", "training".

    Raises:
        RunError: another process holds it.
    """
    with contextlib.ExitStack() as held:
        lock = held.enter_context((folder / _FILE).open("a+"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise _at_work(folder, work) from None
            _log.debug("%s: its file system has no locks (%s)", folder, error.strerror)
            held.enter_context(_holding(folder, work))
        _clear(folder)
        yield
        # Workers on other machines may have died as well.
        _clear(folder)


def is_locked(folder: Path) -> bool:
    """Say whether another process holds a folder's lock; nothing is written."""
    try:
        with (folder / _FILE).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            return True
        path = folder / _HOLDER
        return path.exists() and not _left_over(path, socket.gethostname())


def _clear(folder: Path) -> None:
    for leftover in folder.glob(f".*{SUFFIX}"):
        leftover.unlink(missing_ok=True)


@contextlib.contextmanager
def _holding(folder: Path, work: str) -> Iterator[None]:
    """Hold a file that only one process can make."""
    path, here = folder / _HOLDER, socket.gethostname()
    if _left_over(path, here):
        path.unlink(missing_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(f"{os.getpid()} {here}\n")
    except FileExistsError:
        pid, host = _holder(path)
        if host == here:
            raise _at_work(folder, work) from None
        raise RunError(
            f"{folder}: another {work} is at work on it (process {pid} on {host}): wait for its end, or, if it is "
            f"gone, remove {path}"
        ) from None
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _left_over(path: Path, here: str) -> bool:
    """Whether a process of this machine made the file and is gone."""
    pid, host = _holder(path)
    if host != here:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _holder(path: Path) -> tuple[int, str]:
    """Process and machine that a file names; (0, "") if it cannot be read."""
    try:
        pid, host = path.read_text(encoding="utf-8").split()
        return int(pid), host
    except (OSError, ValueError):
        return 0, ""


def _at_work(folder: Path, work: str) -> RunError:
    return RunError(f"{folder}: another {work} is at work on it: wait for its end, or stop it")
