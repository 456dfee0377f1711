"""What a process has loaded: painters and annotators travel light, and find here what the last one of them loaded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

Loaded = TypeVar("Loaded")


class Holder:
    """Holds one heavy thing of each kind, as long as the same one is asked for.

    A worker process receives a pickled painter with every shard; the generator that the first one loaded serves all
    that are made alike. Something else of the same kind takes the place of what was there, so that one of each
    is in memory. Several threads may ask at once; one of them loads.
    """

    def __init__(self) -> None:
        self._held: dict[str, tuple[Hashable, Any]] = {}
        # One thread may load a kind that needs another kind.
        self._lock = threading.RLock()

    def get(self, kind: str, key: Hashable, load: Callable[[], Loaded]) -> Loaded:
        """Give what `load` makes, anew only if the last of this `kind` had another `key`."""
        with self._lock:
            if kind not in self._held or self._held[kind][0] != key:
                self._held.pop(kind, None)
                self._held[kind] = key, load()
            held: Loaded = self._held[kind][1]
            return held

    def clear(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._held.clear()


PROCESS = Holder()
"""The one of this process."""
