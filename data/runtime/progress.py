"""Progress of long work: a bar with a rate and the time left on a terminal, now and then a plain line elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

from data.runtime.logs import get_logger

_SECONDS_BETWEEN_LINES = 30.0
_SLOW = 0.1
"""Rate a second below which the seconds for each are said instead."""

_log = get_logger(__name__)


class Progress:
    """Counts what is done of a whole; made by `progress`."""

    def __init__(self, doing: str, total: int, unit: str, done: int, delay: float) -> None:
        self._doing, self._total, self._unit, self._first = doing, total, unit, done
        self._done = done
        self._began = self._said = time.monotonic()
        on_terminal = sys.stderr.isatty()
        self._bar = tqdm(
            total=total,
            initial=done,
            desc=doing,
            unit=f" {unit}",
            disable=not on_terminal,
            smoothing=0,
            delay=delay,
            leave=not delay,
        )

    def advance(self, count: int = 1) -> None:
        """Note that so many more are done."""
        self._done += count
        self._bar.update(count)
        now = time.monotonic()
        if self._bar.disable and (now - self._said >= _SECONDS_BETWEEN_LINES):
            self._said = now
            rate = (self._done - self._first) / (now - self._began)
            left = (self._total - self._done) / rate if rate else float("inf")
            pace = f"{1 / rate:.0f} s each" if 0 < rate < _SLOW else f"{rate:.1f} a second"
            _log.info(f"{self._doing}: {self._done:,} of {self._total:,} {self._unit}, {pace}, {left:.0f} s left")

    def close(self) -> None:
        """Take the bar off the terminal."""
        self._bar.close()


@contextmanager
def progress(doing: str, total: int, unit: str = "photos", done: int = 0, delay: float = 0.0) -> Iterator[Progress]:
    """Show how far a piece of work is: `done` of `total` at the start, further by `advance`.

    Args:
        doing: what is being done.
        total: how many there are to do.
        unit: what is counted.
        done: how many are done already.
        delay: seconds before a bar appears, for work that may well be short; such a bar vanishes at the end.
    """
    shown = Progress(doing, total, unit, done, delay)
    try:
        yield shown
    finally:
        shown.close()
