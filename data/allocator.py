"""Memory that a process has freed and keeps, to use it again."""

from __future__ import annotations

import ctypes
import sys

# mallopt(3)
_TRIM_THRESHOLD = -1
_MMAP_THRESHOLD = -3

_LARGEST = 1 << 30


def keep_freed_memory() -> None:
    """Let this process keep what it frees, in blocks of up to 1 GiB, for the next of like size.

    By default glibc gives large blocks back at once, and the kernel clears every page anew when the next one is asked
    for. A network on a CPU asks for the same hundreds of MiB in each batch, and spends from a third to half of its time
    so. The price is memory: kept blocks do not always fit the next ones (a step of ResNet-50 peaks a quarter higher).
    Blocks above 1 GiB go back as before. Other C libraries are left as they are.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(_MMAP_THRESHOLD, _LARGEST)
        mallopt(_TRIM_THRESHOLD, -1)
