"""The ground floor: files and formats, no network."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from data.benchmark import Benchmark
from data.errors import InputError
from data.readers import prcc

_READERS: dict[str, Callable[[Path], Benchmark]] = {
    "prcc": prcc.read,
    "walkers": prcc.read,
}


def names() -> list[str]:
    """Return the names of the benchmarks that can be opened, sorted."""
    return sorted(_READERS)


def open_benchmark(name: str, root: str | Path) -> Benchmark:
    """Read the benchmark called `name` from the folder `root` it was unpacked in.

    Only names are read, no picture is opened. Raises InputError for an unknown name, and for a folder that is missing
    or laid out otherwise (the message says what was expected and what was found).
    """
    if name not in _READERS:
        raise InputError(f"dataset {name!r} is unknown: choose one of {', '.join(names())}")
    return dataclasses.replace(_READERS[name](Path(root)), name=name)
