"""Processes: how many of those asked for this machine can give."""

from __future__ import annotations

import multiprocessing
from functools import cache

from data.runtime.logs import get_logger

_log = get_logger(__name__)


@cache
def processes_work() -> bool:
    """Say whether processes can work together here, which takes semaphores; where they cannot, warn, once."""
    try:
        multiprocessing.Lock()
    except (ImportError, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        _log.warning(f"processes cannot work together here (/dev/shm: {reason}), so a single one does all")
        return False
    return True


def usable_jobs(jobs: int) -> int:
    """Give `jobs`, a number of processes (-1 for one a core), or 1 where they cannot work together."""
    return jobs if jobs == 1 or processes_work() else 1
