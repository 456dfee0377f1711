"""The ground floor: files and formats, no network."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from data.benchmark import Benchmark
from data.readers import celeb_reid, csv_file, deepchange, folder, last, ltcc, market1501, prcc, vc_clothes
from data.runtime.errors import InputError


def _walkers(root: Path) -> Benchmark:
    """Read what `data.walkers` writes, in PRCC's layout but of another size."""
    return dataclasses.replace(prcc.read(root), published={})


_READERS: dict[str, Callable[[Path], Benchmark]] = {
    "celeb-reid": celeb_reid.read,
    "celeb-reid-light": celeb_reid.read_light,
    "csv": csv_file.read,
    "deepchange": deepchange.read,
    "deepchange-cameras": deepchange.read_cameras,
    "folder": folder.read,
    "last": last.read,
    "ltcc": ltcc.read,
    "ltcc-changing": ltcc.read_changing,
    "market1501": market1501.read,
    "prcc": prcc.read,
    "vc-clothes": vc_clothes.read,
    "walkers": _walkers,
}


def names() -> list[str]:
    """Return the names of the benchmarks that can be opened, sorted."""
    return sorted(_READERS)


def open_benchmark(name: str, root: str | Path) -> Benchmark:
    """Read the benchmark called `name` from the folder `root` it was unpacked in (of "csv": the folder or the file).

    Only names and lists are read, no picture is opened. Raises InputError for an unknown name, and for a folder that is
    missing or laid out otherwise (the message says what was expected and what was found).
    """
    if name not in _READERS:
        raise InputError(f"dataset {name!r} is unknown: choose one of {', '.join(names())}")
    return dataclasses.replace(_READERS[name](Path(root)), name=name)
