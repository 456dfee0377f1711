"""How a sync grows: 10,000 to a million photos through a painter that paints nothing, seconds and memory of each step.

The photos are links to a few small files, so that a million take no space; they are listed, digested, read and written
as any others.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import click
import numpy as np
from PIL import Image

import data
from data.runtime.tables import format_table
from data.shards import SyncStore, newest_store, verify
from pipeline.sync import Plan, plan_sync, run_sync
from tests.bench.fresh import in_fresh_process
from tests.bench.null_painter import NullPainter

SIZE = (16, 8)
IN_A_FOLDER = 1000
HEADER = ("photos", "step", "seconds", "photos a second", "MiB", "bytes a photo")


@click.command()
@click.option("--photos", type=int, multiple=True, default=(10_000, 100_000), show_default=True, help="Several times.")
@click.option("--jobs", default=os.cpu_count() or 1, show_default=True, help="Processes that redraw.")
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), help="Where to lay it all out for a while.")
def main(photos: tuple[int, ...], jobs: int, folder: Path | None) -> None:
    """Measure each step of a sync, and what a training does first, in a process of its own.

    Memory is what the process grows by at most; of `sync` that of the leading process.
    """
    rows = []
    for count in photos:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            lay_out(Path(place) / "photos", count)
            for step, work, arguments in (
                ("list", listing, ()),
                ("plan", planning, ()),
                ("sync", syncing, (jobs,)),
                ("sync, complete", syncing, (1,)),
                ("sync, last shard lost", resuming, ()),
                ("verify", verifying, ()),
                ("open", opening, ()),
                ("names of all", naming, ()),
            ):
                measured = in_fresh_process(work, Path(place), *arguments)
                if measured.result != count:
                    raise click.ClickException(f"{step}: {measured.result} photos, not {count}")
                rate, each = count / measured.seconds, measured.memory / count
                seconds, memory = f"{measured.seconds:.2f}", f"{measured.memory / 2**20:,.0f}"
                rows.append([f"{count:,}", step, seconds, f"{rate:,.0f}", memory, f"{each:,.0f}"])
                click.echo(" ".join(rows[-1]), err=True)
    click.echo(format_table(HEADER, rows))


def lay_out(root: Path, photos: int) -> None:
    """Lay out so many small photos, a thousand a folder."""
    random = np.random.default_rng(0)
    for start in range(0, photos, IN_A_FOLDER):
        folder = root / f"{start // IN_A_FOLDER:04d}"
        folder.mkdir(parents=True)
        first = folder / "0000.png"
        Image.fromarray(random.integers(0, 256, (*SIZE, 3), np.uint8)).save(first)
        for number in range(1, min(IN_A_FOLDER, photos - start)):
            os.link(first, folder / f"{number:04d}.png")


def listing(place: Path) -> int:
    """Read which photos there are."""
    return len(data.open_benchmark("folder", place / "photos").train)


def planning(place: Path) -> int:
    """Read which photos there are, digest them all, and say what is to be done."""
    plan = _plan(place)
    return sum(len(task.sources) for task in plan.tasks)


def syncing(place: Path, jobs: int) -> int:
    """Make whatever is missing of the store, planning included."""
    return run_sync(_plan(place), jobs)[0].photos


def resuming(place: Path) -> int:
    """Lose the last shard, and make it again."""
    plan = _plan(place)
    plan.tasks[-1].path.unlink()
    return run_sync(plan)[0].photos


def verifying(place: Path) -> int:
    """Read the whole store again, and compare the photos."""
    store = newest_store(place / "stores")
    faults = [fault for _, fault in verify(store, place / "photos") if fault]
    if faults:
        raise click.ClickException(faults[0])
    return len(SyncStore(store))


def opening(place: Path) -> int:
    """Open the store and read a photo of the last shard."""
    store = SyncStore(newest_store(place / "stores"))
    store.group(len(store) - 1)
    return len(store)


def naming(place: Path) -> int:
    """Read the names of all photos from the store, as a training does before it starts."""
    store = SyncStore(newest_store(place / "stores"))
    return len({store.source(photo) for photo in range(len(store))})


def _plan(place: Path) -> Plan:
    return plan_sync(data.open_benchmark("folder", place / "photos"), NullPainter(1, SIZE), place / "stores")


if __name__ == "__main__":
    main()
