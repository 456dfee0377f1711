"""Is a data set whole: its counts beside the published ones, and every photo opened."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from data.benchmark import Benchmark
from data.photo import read_photo
from data.runtime.errors import InputError

_BATCH = 64
_LABELS = ("person", "camera", "clothes")


def format_summary(benchmark: Benchmark) -> str:
    """Return a table of people, photos, cameras and outfits of the training photos and each side of each setting.

    A count that the labels do not give is "?".
    """
    lines = [f"{'':<36}{'people':>9}{'photos':>9}{'cameras':>9}{'outfits':>9}"]
    for part, records in benchmark.parts().items():
        people, cameras, outfits = (_counted([getattr(r, name) for r in records]) for name in _LABELS)
        lines.append(f"{part:<36}{people:>9}{len(records):>9,}{cameras:>9}{outfits:>9}")
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
    return found


def all_photos(benchmark: Benchmark) -> list[Path]:
    """Return each distinct photo of the benchmark once."""
    return list(dict.fromkeys(record.path for records in benchmark.parts().values() for record in records))


def damaged_photos(paths: Sequence[Path], jobs: int) -> list[str]:
    """Open every photo, in `jobs` processes with a progress bar; return a line for each that cannot be read."""
    batches = [paths[start : start + _BATCH] for start in range(0, len(paths), _BATCH)]
    found = []
    bar = tqdm(total=len(paths), desc="opening", unit=" photos", disable=None)
    # Leaving the pool ends its processes at once, after an interrupt too.
    with bar as progress, multiprocessing.Pool(jobs, _leave_signals_to_the_parent) as pool:
        for batch, lines in zip(batches, pool.imap(_damaged, batches), strict=True):
            found += lines
            progress.update(len(batch))
    return found


def _leave_signals_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _damaged(paths: Sequence[Path]) -> list[str]:
    found = []
    for path in paths:
        try:
            read_photo(path)
        except InputError as error:
            found.append(" ".join(str(error).splitlines()))
    return found
