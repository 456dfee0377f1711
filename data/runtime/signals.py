"""Signals: Ctrl-C and SIGTERM held back until a step is done."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def deferred_interrupts() -> Iterator[Callable[[], bool]]:
    """Hold Ctrl-C and SIGTERM back for the time of the block; what is given says whether one came.

    A second one of the same kind acts as it would outside the block.
    """
    came: list[int] = []
    previous: dict[int, Any] = {}

    def note(number: int, _frame: FrameType | None) -> None:
        came.append(number)
        signal.signal(number, previous[number])

    for kind in (signal.SIGINT, signal.SIGTERM):
        previous[kind] = signal.signal(kind, note)
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
