"""Is a data set whole: its counts beside the published ones, and every photo opened."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from data.benchmark import Benchmark, Setting
from data.photo import Photo
from data.runtime.errors import InputError
from data.runtime.processes import usable_jobs
from data.runtime.progress import progress
from data.runtime.tables import format_table

_BATCH = 64
_LABELS = ("person", "camera", "clothes")


def format_summary(benchmark: Benchmark) -> str:
    """Return a table of people, photos, cameras and outfits of the training photos and each side of each setting.

    A count that the labels do not give is "?".
    """
    rows = []
    for part, records in benchmark.parts().items():
        people, cameras, outfits = (_counted([getattr(r, name) for r in records]) for name in _LABELS)
        rows.append((part, people, f"{len(records):,}", cameras, outfits))
    lines = [format_table(("", "people", "photos", "cameras", "outfits"), rows)]
    for name, setting in benchmark.settings.items():
        draws = f" over {setting.draws} draws" if "single-shot" in setting.shots else ""
        lines.append(f"{name}: ranked {' and '.join(setting.shots)}{draws}")
    if not benchmark.settings:
        lines.append("no query and gallery: retrieval cannot be measured here")
    return "\n".join(lines)


def _counted(labels: Sequence[str | None]) -> str:
    """How many different labels there are, or that this is not known of all photos."""
    return "?" if None in labels else f"{len(set(labels)):,}"


def warnings(benchmark: Benchmark) -> list[str]:
    """Return a line for each count that differs from the published one, and for what makes a measurement unfair."""
    found = []
    parts = benchmark.parts()
    for part, (people, photos) in benchmark.published.items():
        here = {"people": len({r.person for r in parts[part]}), "photos": len(parts[part])}
        for noun, published in (("people", people), ("photos", photos)):
            if published is not None and here[noun] != published:
                found.append(f"{part}: {here[noun]:,} {noun}, published {published:,}")
    train = {record.path for record in benchmark.train}
    for part, records in parts.items():
        shared = train & {record.path for record in records} if part != "train" else set()
        if shared:
            found.append(f"{part}: {len(shared):,} photos are training photos too, such as {min(shared)}")
    for name, setting in benchmark.settings.items():
        both = {record.path for record in setting.query} & {record.path for record in setting.gallery}
        if both:
            found.append(f"{name}: {len(both):,} photos are both query and gallery, such as {min(both)}")
        known = {record.person for record in setting.gallery}
        strangers = sum(record.person not in known for record in setting.query)
        if strangers:
            found.append(f"{name}: {strangers:,} query photos are of people whom the gallery does not hold")
    for prefix, settings in (("", benchmark.settings), ("validation ", benchmark.validation)):
        for name, setting in settings.items():
            found += [f"{prefix}{name}: {why}" for why in (unmeasurable(setting), _trivial(setting)) if why]
    return found


def unmeasurable(setting: Setting) -> str | None:
    """Say why nothing can be measured in a setting: that no query has a match, and what is to blame; else None."""
    if setting.queries_with_match():
        return None
    cameras = {record.camera for record in (*setting.query, *setting.gallery)}
    if len(cameras) == 1:
        why = f"all photos are of one camera ({next(iter(cameras))}), and a match is by another one"
    elif {record.person for record in setting.query}.isdisjoint(record.person for record in setting.gallery):
        why = "nobody in a query is in the gallery"
    else:
        clothes = {"same-clothing": " and in the same clothes", "clothing-change": " and in other clothes"}
        why = f"nobody in a query is in the gallery by another camera{clothes.get(setting.name, '')}"
    return f"no query has a match in the gallery, so nothing can be measured: {why}"


def _trivial(setting: Setting) -> str | None:
    people = {record.person for record in setting.gallery}
    return (
        None
        if len(people) > 1
        else f"the gallery shows one person ({next(iter(people))}) alone: every ranking is right"
    )


def all_photos(benchmark: Benchmark) -> list[Path]:
    """Return each distinct photo of the benchmark once."""
    return list(dict.fromkeys(record.path for records in benchmark.parts().values() for record in records))


@dataclass(frozen=True)
class Opened:
    """What opening photos showed: a line for each that cannot be read, and how many have transparent pixels."""

    damaged: tuple[str, ...]
    transparent: int


def open_photos(paths: Sequence[Path], jobs: int) -> Opened:
    """Open every photo, in `jobs` processes with a progress bar."""
    batches = [paths[start : start + _BATCH] for start in range(0, len(paths), _BATCH)]
    damaged: list[str] = []
    transparent = 0
    with progress("opening", len(paths)) as shown, _mapping(usable_jobs(jobs)) as spread:
        for batch, opened in zip(batches, spread(_open, batches), strict=True):
            damaged += opened.damaged
            transparent += opened.transparent
            shown.advance(len(batch))
    return Opened(tuple(damaged), transparent)


@contextmanager
def _mapping(jobs: int) -> Iterator[Callable[..., Iterator[Opened]]]:
    """Give a `map` by so many processes; leaving the block ends them at once, after an interrupt too."""
    if jobs == 1:
        yield map
        return
    with multiprocessing.Pool(jobs, _leave_signals_to_the_parent) as pool:
        yield pool.imap


def _leave_signals_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _open(paths: Sequence[Path]) -> Opened:
    damaged: list[str] = []
    transparent = 0
    for path in paths:
        try:
            transparent += Photo.read(path, path.parent).transparent
        except InputError as error:
            damaged.append(" ".join(str(error).splitlines()))
    return Opened(tuple(damaged), transparent)
