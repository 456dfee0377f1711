"""What other ways of storing pictures would cost and save: bytes, writing, reading, and what they change."""

from __future__ import annotations

import importlib.util
import io
import math
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol

import click
import h5py
import numpy as np
import numpy.typing as npt
from PIL import Image

from data.runtime.places import STORES
from data.runtime.progress import progress
from data.runtime.tables import format_table
from data.shards import Groups, SyncStore, newest_store, write_manifest, writing_shard

Group = npt.NDArray[np.uint8]
HEADER = ("codec", "bytes a photo", "of raw", "ms to write", "ms to read")


class Codec(Protocol):
    """A way of storing groups, uint8 (1+S, H, W, 3), one chunk or one stretch of bytes each."""

    def write(self, file: h5py.File, groups: Iterable[Group], shape: tuple[int, ...]) -> None:
        """Write groups into a new file; `shape` is (n, 1+S, H, W, 3)."""

    def read(self, file: h5py.File, row: int) -> Group:
        """Read one group."""


@dataclass(frozen=True)
class Filtered:
    """Chunks through a filter of HDF5, beside the checksum."""

    options: Mapping[str, Any] = field(default_factory=dict)

    def write(self, file: h5py.File, groups: Iterable[Group], shape: tuple[int, ...]) -> None:
        """Write groups as shards do."""
        images = file.create_dataset("images", shape, np.uint8, chunks=(1, *shape[1:]), fletcher32=True, **self.options)
        for row, group in enumerate(groups):
            images[row] = group

    def read(self, file: h5py.File, row: int) -> Group:
        """Read a chunk."""
        group: Group = file["images"][row]
        return group


@dataclass(frozen=True)
class Strip:
    """A group's pictures below each other, as one picture in a format that Pillow knows."""

    options: Mapping[str, Any]

    def write(self, file: h5py.File, groups: Iterable[Group], shape: tuple[int, ...]) -> None:
        """Write the encoded strips one after the other, and where each ends."""
        strips = [self._encode(group) for group in groups]
        content = np.frombuffer(b"".join(strips), np.uint8)
        file.create_dataset("strips", data=content)
        file.create_dataset("ends", data=np.cumsum([0, *map(len, strips)]))
        file.attrs["shape"] = shape[1:]

    def read(self, file: h5py.File, row: int) -> Group:
        """Read and decode a strip."""
        start, end = file["ends"][row : row + 2]
        with Image.open(io.BytesIO(file["strips"][start:end])) as strip:
            return np.asarray(strip.convert("RGB")).reshape(file.attrs["shape"])

    def _encode(self, group: Group) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(group.reshape(-1, *group.shape[2:])).save(buffer, **self.options)
        return buffer.getvalue()


def codecs() -> dict[str, Codec]:
    """Give the codecs by name, raw first; Blosc's if hdf5plugin is installed."""
    found: dict[str, Codec] = {"raw": Filtered(), "LZF": Filtered({"compression": "lzf", "shuffle": True})}
    if importlib.util.find_spec("hdf5plugin"):
        import hdf5plugin

        found["Blosc LZ4"] = Filtered(dict(hdf5plugin.Blosc2(cname="lz4", clevel=5)))
        found["Blosc Zstandard"] = Filtered(dict(hdf5plugin.Blosc2(cname="zstd", clevel=5)))
    found["WebP, lossless"] = Strip({"format": "WebP", "lossless": True, "quality": 20, "method": 0})
    for quality in (95, 90):
        found[f"JPEG {quality}"] = Strip({"format": "JPEG", "quality": quality, "subsampling": 0})
    return found


@click.group()
def main() -> None:
    """Measure other ways of storing pictures than the shards' own."""


@main.command()
@click.argument("store", type=click.Path(exists=True, path_type=Path), required=False)
@click.option("--photos", default=512, show_default=True, help="How many of the store's photos, spread evenly.")
@click.option("--reads", default=1000, show_default=True, help="Groups that each process reads.")
@click.option("--readers", type=int, multiple=True, default=(1, 2, 4), show_default=True, help="Processes at once.")
def table(store: Path | None, photos: int, reads: int, readers: tuple[int, ...]) -> None:
    """Measure every codec on a store's pictures: seconds of CPU a group, groups a second by several processes at once.

    The file is read before the clock starts, so that its bytes are in memory.
    """
    if "Blosc LZ4" not in codecs():
        click.echo("Blosc is left out: pip install 'sync-person-cloud[bench]' brings it", err=True)
    opened = SyncStore(store or newest_store(STORES))
    chosen = np.unique(np.linspace(0, len(opened) - 1, photos).astype(int))
    groups = opened.groups(chosen)
    click.echo(f"{opened.path.name}: {len(groups)} photos, groups of {' x '.join(map(str, groups.shape[1:]))}")
    raw, rows = 0.0, []
    with tempfile.TemporaryDirectory() as folder:
        for name, codec in codecs().items():
            path = Path(folder, "groups.h5")
            writing = _cpu_seconds(partial(_write, path, codec, groups)) / len(groups)
            size = path.stat().st_size / len(groups)
            raw = raw or size
            reading = _read(path, name, 0, reads)[1] / reads
            rates = [_rate(path, name, processes, reads) for processes in readers]
            rows.append([
                name,
                f"{size:,.0f}",
                f"{size / raw:.2f}",
                f"{writing * 1e3:.2f}",
                f"{reading * 1e3:.2f}",
                *(f"{rate:,.0f}" for rate in rates),
                _psnr(path, codec, groups),
            ])  # fmt: skip
    click.echo(format_table((*HEADER, *(f"groups/s, {count}" for count in readers), "PSNR"), rows))


@main.command()
@click.argument("codec", type=click.Choice([name for name in codecs()]))
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--store", type=click.Path(exists=True, path_type=Path), help="By default the last one.")
def recode(codec: str, target: Path, store: Path | None) -> None:
    """Write a copy of a store whose pictures went through a codec, to train on: `train --sync TARGET`."""
    opened = SyncStore(store or newest_store(STORES))
    manifest, key = opened.manifest, f"{opened.manifest.key}-{codec}"
    target.mkdir(parents=True)
    statuses = []
    with progress("recoding", len(opened)) as bar, tempfile.TemporaryDirectory() as folder:
        for name, photos in opened.shards:
            path = Path(folder, "groups.h5")
            _write(path, codecs()[codec], opened.groups(photos))
            with h5py.File(path) as file, writing_shard(target / name, opened.versions, opened.size, key, {}) as shard:
                shard.add(
                    Groups(
                        images=np.stack([codecs()[codec].read(file, row) for row in range(len(photos))]),
                        sources=[opened.source(photo) for photo in photos],
                        digests=["0" * 64] * len(photos),
                        templates=np.stack([opened.templates(photo) for photo in photos]),
                        redrawn=np.array([opened.redrawn(photo) for photo in photos]),
                        moved=np.stack([opened.moved(photo) for photo in photos]),
                        masks=opened.masks(photos),
                    )
                )
                statuses.append(shard.status())
            bar.advance(len(photos))
    write_manifest(target, replace(manifest, key=key, shards=tuple(statuses)))


def _write(path: Path, codec: Codec, groups: Group) -> None:
    with h5py.File(path, "w", libver="v110") as file:
        codec.write(file, groups, groups.shape)


def _read(path: Path, codec: str, seed: int, reads: int) -> tuple[float, float]:
    """Read groups at random; give the seconds, elapsed and of CPU, after some groups that are not counted."""
    chosen = codecs()[codec]
    with h5py.File(path, "r", locking=False, rdcc_nbytes=0) as file:
        count = len(file["images"]) if "images" in file else len(file["ends"]) - 1
        rows = np.random.default_rng(seed).integers(0, count, reads).tolist()
        for row in rows[:10]:
            chosen.read(file, row)
        began, spent = time.perf_counter(), time.process_time()
        for row in rows:
            chosen.read(file, row)
        return time.perf_counter() - began, time.process_time() - spent


def _rate(path: Path, codec: str, processes: int, reads: int) -> float:
    """Groups a second of so many processes that read at once."""
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        # Processes are started, and have loaded what they need, before the clock starts.
        list(pool.map(_read, *zip(*[(path, codec, 0, 1)] * processes, strict=True)))
        elapsed = [pool.submit(_read, path, codec, seed, reads) for seed in range(processes)]
        return sum(reads / done.result()[0] for done in elapsed)


def _psnr(path: Path, codec: Codec, groups: Group) -> str:
    with h5py.File(path, "r") as file:
        read = np.stack([codec.read(file, row) for row in range(len(groups))])
    error = np.mean([np.square(one.astype(np.float32) - other).mean() for one, other in zip(read, groups, strict=True)])
    return f"{10 * math.log10(255**2 / error):.1f} dB" if error else "exact"


def _cpu_seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


if __name__ == "__main__":
    main()
