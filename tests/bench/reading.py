"""How fast training's data comes from shards on a cold disk: images a second, waiting, open files, memory."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from data.runtime.progress import progress
from data.runtime.tables import format_table
from data.shards import Groups, Manifest, SyncStore, write_manifest, writing_shard
from tests.bench.fresh import resident, usage
from trainer.batches import read_groups

SHARD = 256
HEADER = ("disk", "workers", "images/s", "of CPU", "waiting", "of time", "open files", "MiB a reader", "MiB leader")


@dataclass(frozen=True)
class Reading:
    """What reading an epoch's batches took.

    Attributes:
        images: read in all.
        seconds: from the first batch's asking to the last one's coming.
        waited: of these, for batches.
        cpu: seconds of the processor, in all processes.
        files: open in a reading process at the end, most of all.
        memory: bytes of its own that a reading process has at the end, most of all.
        leader: bytes by which the process that trains grew.
    """

    images: int
    seconds: float
    waited: float
    cpu: float
    files: int
    memory: int
    leader: int


@click.command()
@click.option("--images", default=89_480, show_default=True, help="In the store; PRCC's number: 17,896 photos, S = 4.")
@click.option("--size", type=(int, int), default=(256, 128), show_default=True)
@click.option("--versions", default=4, show_default=True)
@click.option("--batch", default=32, show_default=True, help="Photos a batch.")
@click.option("--steps", default=200, show_default=True, help="Batches read of an epoch, drawn over the whole store.")
@click.option("--workers", type=int, multiple=True, default=(0, 1, 2), show_default=True, help="That read ahead.")
@click.option("--step", default=0.0, show_default=True, help="Seconds that a step computes, during which one reads on.")
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), help="Where the store lies for a while.")
def main(
    images: int,
    size: tuple[int, int],
    versions: int,
    batch: int,
    steps: int,
    workers: tuple[int, ...],
    step: float,
    folder: Path | None,
) -> None:
    """Read random batches of a large store, first from a disk of which nothing is in memory, then again."""
    photos = images // (1 + versions)
    rows = []
    with tempfile.TemporaryDirectory(dir=folder) as place:
        store = lay_out(Path(place), photos, versions, size)
        for count in workers:
            batches = np.random.default_rng(count).integers(0, photos, (steps, batch))
            forget(store.path)
            for disk in ("cold", "in memory"):
                rows.append([disk, str(count), *_cells(read(SyncStore(store.path), batches, count, step))])
    shape = f"{size[0]}x{size[1]}"
    click.echo(f"{images:,} images of {shape} in {len(store.shards):,} shards, {steps} batches of {batch} photos")
    click.echo(format_table(HEADER, rows))


def lay_out(folder: Path, photos: int, versions: int, size: tuple[int, int]) -> SyncStore:
    """Write a store of random bytes, the same in each shard."""
    noise = np.random.default_rng(0).integers(0, 256, (min(SHARD, photos), 1 + versions, *size, 3), np.uint8)
    statuses = []
    with progress("writing", photos) as bar:
        for start in range(0, photos, SHARD):
            count = min(SHARD, photos - start)
            name = f"shard-{start // SHARD:05d}.h5"
            with writing_shard(folder / name, versions, size, "bench", {}) as shard:
                shard.add(
                    Groups(
                        images=noise[:count],
                        sources=[f"rgb/train/{number // 100:06d}/A_{number:07d}.jpg" for number in range(count)],
                        digests=["0" * 64] * count,
                        templates=np.zeros((count, versions), np.int32),
                        redrawn=np.ones(count, np.bool_),
                        moved=np.zeros((count, 2), np.float32),
                    )
                )
                statuses.append(shard.status())
            bar.advance(count)
    write_manifest(folder, Manifest("bench", "bench", "", versions, size, tuple(statuses), "now", {}))
    return SyncStore(folder)


def forget(folder: Path) -> None:
    """Have the system drop what it holds of a folder's files in memory; other files' stay."""
    os.sync()
    for path in folder.iterdir():
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def read(store: SyncStore, batches: np.ndarray, workers: int, step: float) -> Reading:
    """Read batches as a training does, which computes for `step` seconds with each."""
    before, spent = resident(), usage(os.getpid(), store.path).cpu
    groups = read_groups(store, batches, 1 + store.versions, workers)
    waits, images = [], 0
    began = asked = time.perf_counter()
    for group in groups:
        waits.append(time.perf_counter() - asked)
        images += group.shape[0] * group.shape[1]
        if len(waits) == len(batches):
            break  # Once more around, and the reading processes would be gone before they are looked at.
        time.sleep(step)
        asked = time.perf_counter()
    seconds = time.perf_counter() - began
    leader = usage(os.getpid(), store.path)
    readers = [usage(child.pid, store.path) for child in multiprocessing.active_children() if child.pid]
    return Reading(
        images=images,
        seconds=seconds,
        waited=sum(waits),
        cpu=leader.cpu - spent + sum(reader.cpu for reader in readers),
        files=max(one.files for one in readers or [leader]),
        memory=max(one.memory for one in readers or [leader]),
        leader=max(0, resident() - before),
    )


def _cells(taken: Reading) -> list[str]:
    return [
        f"{taken.images / taken.seconds:,.0f}",
        f"{taken.images / taken.cpu:,.0f}",
        f"{taken.waited:.2f} s",
        f"{taken.waited / taken.seconds:.0%}",
        f"{taken.files}",
        f"{taken.memory / 2**20:,.0f}",
        f"{taken.leader / 2**20:,.0f}",
    ]


if __name__ == "__main__":
    main()
