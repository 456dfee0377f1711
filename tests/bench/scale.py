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
from data.photo import sizes_digest
from data.record import paths_of
from data.runtime.tables import format_table
from data.shards import (
    Changes,
    Groups,
    Manifest,
    SyncStore,
    compare_photos,
    newest_store,
    read_photos,
    verify,
    write_manifest,
    write_photos,
    writing_shard,
)
from pipeline.sync import Plan, plan_sync, report, run_sync
from pipeline.sync.status import DONE
from tests.bench.fresh import in_fresh_process
from tests.bench.null_painter import NullPainter

SIZE, VERSIONS = (16, 8), 1
IN_A_FOLDER = 1000
LOST = 4
HEADER = ("photos", "step", "elapsed s", "CPU s", "us a photo", "MiB", "bytes a photo")


@click.command()
@click.option("--photos", type=int, multiple=True, default=(10_000, 100_000), show_default=True, help="Several times.")
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), help="Where to lay it all out for a while.")
def main(photos: tuple[int, ...], folder: Path | None) -> None:
    """Measure each step of a sync, and what a training does first, in a process of its own.

    Memory is what the process grows by at most.
    """
    rows = []
    for count in photos:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            lay_out(Path(place) / "photos", count)
            for step, work in (
                ("list", listing),
                ("list and plan", planning),
                ("write shards", filling),
                ("sync again", syncing),
                (f"sync, {LOST} shards lost", resuming),
                ("status", telling),
                ("verify", verifying),
                ("compare photos", comparing),
                ("open the store", opening),
                ("names of all in it", naming),
            ):
                taken = in_fresh_process(work, Path(place))
                if taken.result != count:
                    raise click.ClickException(f"{step}: {taken.result} photos, not {count}")
                rows.append([
                    f"{count:,}",
                    step,
                    f"{taken.seconds:.2f}",
                    f"{taken.cpu:.2f}",
                    f"{taken.cpu / count * 1e6:,.0f}",
                    f"{taken.memory / 2**20:,.0f}",
                    f"{taken.memory / count:,.0f}",
                ])  # fmt: skip
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
    return sum(len(task.photos) for task in plan.tasks)


def filling(place: Path) -> int:
    """Write all shards from memory, so that no photo is opened, and note that they are whole."""
    plan, statuses = _plan(place), []
    plan.folder.mkdir(parents=True)
    for task in plan.tasks:
        painted = plan.painter.paint(len(task.photos))
        with writing_shard(task.path, VERSIONS, SIZE, plan.key, {}) as shard:
            shard.add(
                Groups(
                    images=np.repeat(painted.images, 1 + VERSIONS, axis=1),
                    sources=task.photos.sources,
                    digests=task.photos.sha256,
                    templates=painted.templates,
                    redrawn=painted.found,
                    moved=np.zeros((len(task.photos), 2), np.float32),
                )
            )
            status = shard.status()
        statuses.append(status.sealed(task.path))
    root, recipe = str(plan.benchmark.root.absolute()), plan.painter.recipe
    write_manifest(plan.folder, Manifest(plan.key, "folder", root, VERSIONS, SIZE, tuple(statuses), "now", recipe))
    write_photos(plan.folder, plan.photos)
    return sum(status.photos for status in statuses)


def syncing(place: Path) -> int:
    """Find that nothing is to be done."""
    return run_sync(_plan(place))[0].photos


def resuming(place: Path) -> int:
    """Lose some shards, and make them again."""
    plan = _plan(place)
    for task in plan.tasks[-LOST:]:
        task.path.unlink()
    return run_sync(plan)[0].photos


def telling(place: Path) -> int:
    """Say what became of each photo, and write the list of all."""
    return report(newest_store(place / "stores"), place / "states.csv").counts[DONE]


def verifying(place: Path) -> int:
    """Read the whole store again, and compare the photos."""
    store = newest_store(place / "stores")
    faults = [fault for _, fault in verify(store, place / "photos") if fault]
    if faults:
        raise click.ClickException(faults[0])
    return len(SyncStore(store))


def comparing(place: Path) -> int:
    """Compare the photos with those that were redrawn, and digest them, as a training does before it starts."""
    benchmark = data.open_benchmark("folder", place / "photos")
    record = read_photos(newest_store(place / "stores"))
    if not record or compare_photos(record, paths_of(benchmark.train), benchmark.root) != Changes((), (), ()):
        raise click.ClickException("photos have changed")
    sizes_digest(record.sizes())
    return len(record)


def opening(place: Path) -> int:
    """Open the store and read a photo of the last shard."""
    store = SyncStore(newest_store(place / "stores"))
    store.group(len(store) - 1)
    return len(store)


def naming(place: Path) -> int:
    """Read the names of all photos from the store, as a training does before it starts where labels are known."""
    store = SyncStore(newest_store(place / "stores"))
    return len({store.source(photo) for photo in range(len(store))})


def _plan(place: Path) -> Plan:
    return plan_sync(data.open_benchmark("folder", place / "photos"), NullPainter(VERSIONS, SIZE), place / "stores")


if __name__ == "__main__":
    main()
