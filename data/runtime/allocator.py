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
    so. The price is memory: kept blocks do not always fit the next ones (a step of ResNet-50 peaks at 1.3 times as
    much). Blocks above 1 GiB go back as before. Other C libraries than glibc are left as they are.
    """
    _glibc("mallopt", _MMAP_THRESHOLD, _LARGEST)
    _glibc("mallopt", _TRIM_THRESHOLD, -1)


def give_freed_memory_back() -> None:
    """Give the system, once, what `keep_freed_memory` has kept: for work of another kind, or before measuring."""
    _glibc("malloc_trim", 0)


def _glibc(name: str, *arguments: int) -> None:
    """Call a function of the C library, if it is there."""
    if sys.platform.startswith("linux"):
        function = getattr(ctypes.CDLL(None), name, None)
        if function:
            function(*arguments)
