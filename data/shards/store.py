"""Reading a store: the groups of all its shards, by number of the photo."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data.runtime.errors import InputError
from data.shards.manifest import MANIFEST, Manifest, read_manifest
from data.shards.shard import Pictures, Shard, open_pictures, open_shard

_MAX_OPEN = 256
"""Shards kept open at a time: a process may often have no more than 1024 files."""


class SyncStore:
    """The groups of a finished sync, by number of the photo.

    Little more than the path is pickled; a process opens a shard when it first reads from it, also after a fork.

    Raises:
        InputError: the folder is no store, is unfinished, or a shard is missing; when read, a shard is damaged or
            belongs to another store, or, where the store was sent by another process, photos have other numbers by now.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.manifest = read_manifest(self.path)
        if not self.manifest.finished:
            raise InputError(f"{self.path}: this sync is not finished: repeat the `make sync` that began it")
        self.versions, self.size = self.manifest.versions, self.manifest.size
        self._names = [shard.name for shard in self.manifest.shards]
        self._starts = np.cumsum([0, *(shard.photos for shard in self.manifest.shards)])
        missing = [name for name in self._names if not (self.path / name).is_file()]
        if missing:
            raise InputError(
                f"{self.path}: {len(missing)} of {len(self._names)} shards are missing ({missing[0]}): "
                "repeat `make sync` to make them again"
            )
        self._process = os.getpid()
        self._open: dict[int, Pictures] = {}
        self._told: Shard | None = None
        self._renumbered = False

    def __reduce__(self) -> tuple[Callable[..., SyncStore], tuple[Path, str]]:
        return _open_again, (self.path, self._numbering())

    def _numbering(self) -> str:
        """Digest of what decides which photo has which number."""
        counts = self._starts.tolist()
        return hashlib.sha256(repr((self.manifest.key, counts, self.manifest.left_out)).encode()).hexdigest()

    def __len__(self) -> int:
        return int(self._starts[-1])

    def group(self, index: int) -> npt.NDArray[np.uint8]:
        """The photo and its versions, uint8 (1+S, H, W, 3), the photo first."""
        return self.groups([index])[0]

    def groups(self, indices: Sequence[int] | npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.uint8]:
        """The groups of several photos, uint8 (n, 1+S, H, W, 3), in the order asked."""
        places = self._places(indices)
        groups = np.empty((len(places), 1 + self.versions, *self.size, 3), np.uint8)
        for group, (number, row) in zip(groups, places, strict=True):
            self._pictures(number).read(row, group)
        return groups

    def masks(self, indices: Sequence[int] | npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.uint8]:
        """How much of each pixel is the person, 0 to 255, 255 throughout where that is not known.

        uint8 (n, M, H, W) in the order asked; M is 1 where all versions keep the photo's outline, else 1+S.
        """
        places = self._places(indices)
        shards = {number for number, _ in places}
        outlines = max((self._pictures(number).masks.shape[1] for number in shards), default=1)
        masks = np.empty((len(places), outlines, *self.size), np.uint8)
        for mask, (number, row) in zip(masks, places, strict=True):
            shard = self._pictures(number)
            shard.read_masks(row, mask[: shard.masks.shape[1]])
            mask[shard.masks.shape[1] :] = mask[0]
        return masks

    def source(self, index: int) -> str:
        """Path of the photo inside the data set's root."""
        shard, row = self._columns(index)
        return shard.sources[row]

    def redrawn(self, index: int) -> bool:
        """Whether the photo was redrawn; False where no person was found, the group then holds copies of the photo."""
        shard, row = self._columns(index)
        return bool(shard.redrawn[row])

    def templates(self, index: int) -> npt.NDArray[np.int32]:
        """Number of the template that each version wears, int32 (S,)."""
        shard, row = self._columns(index)
        return shard.templates[row]

    def moved(self, index: int) -> npt.NDArray[np.float32]:
        """Difference of the redrawn clothes, and of all the rest, from the photo, (2,) in grey levels, or NaN."""
        shard, row = self._columns(index)
        return shard.moved[row]

    @property
    def shards(self) -> list[tuple[str, range]]:
        """Name of each shard and the numbers of its photos."""
        ends = self._starts.tolist()
        return [(name, range(*ends[at : at + 2])) for at, name in enumerate(self._names)]

    def _places(self, indices: Sequence[int] | npt.NDArray[np.integer[Any]]) -> list[tuple[int, int]]:
        """Shard and row of each photo."""
        if self._renumbered:
            raise InputError(f"{self.path}: photos came in or went while this was at work: begin it again")
        wanted = np.asarray(indices, dtype=np.int64)
        outside = wanted[(wanted < 0) | (wanted >= len(self))]
        if outside.size:
            raise IndexError(f"photo {outside[0]} of {len(self)}")
        shards = np.searchsorted(self._starts, wanted, side="right") - 1
        return list(zip(shards.tolist(), (wanted - self._starts[shards]).tolist(), strict=True))

    def _pictures(self, number: int) -> Pictures:
        if self._process != os.getpid():
            self._process, self._open = os.getpid(), {}
        if number not in self._open:
            if len(self._open) == _MAX_OPEN:
                self._open.pop(next(iter(self._open))).file.close()
            pictures = open_pictures(self.path / self._names[number], self.manifest.key)
            pictures.check_shape(self.manifest.shards[number].photos, self.versions, self.size)
            self._open[number] = pictures
        return self._open[number]

    def _columns(self, index: int) -> tuple[Shard, int]:
        """The shard that tells of a photo, closed again, and the photo's row in it.

        One is kept, since photos are asked about in their order.
        """
        [(number, row)] = self._places([index])
        if self._told is None or self._told.path.name != self._names[number]:
            shard = open_shard(self.path / self._names[number], self.manifest.key)
            with shard.file:
                shard.check_shape(self.manifest.shards[number].photos, self.versions, self.size)
            self._told = shard
        return self._told, row


def _open_again(path: Path, numbering: str) -> SyncStore:
    """Open a store in the process that it was sent to; an error here would only be that process's end."""
    store = SyncStore(path)
    store._renumbered = store._numbering() != numbering
    return store


def all_stores(work: Path, dataset: str | None = None) -> list[tuple[Path, Manifest]]:
    """List the stores in the folder `work`, of this data set if given, finished or not; first the one changed last."""
    found: dict[tuple[int, Path], Manifest] = {}
    for path in work.glob(f"*/{MANIFEST}"):
        try:
            manifest = read_manifest(path.parent)
        except InputError:
            continue  # of another version, or torn: no reason not to use those that are whole
        if dataset in (None, manifest.dataset):
            found[path.stat().st_mtime_ns, path.parent] = manifest
    return [(folder, found[time, folder]) for time, folder in sorted(found, reverse=True)]


def finished_stores(work: Path, dataset: str | None = None) -> list[tuple[Path, Manifest]]:
    """List the finished stores in the folder `work`, of this data set if given; first the one asked for last."""
    return [(folder, manifest) for folder, manifest in all_stores(work, dataset) if manifest.finished]


def newest_store(work: Path, dataset: str | None = None) -> Path:
    """Find the store in the folder `work`, of this data set if given, that was finished or asked for last.

    Raises:
        InputError: there is none.
    """
    stores = finished_stores(work, dataset)
    if not stores:
        of = f"of {dataset} " if dataset else ""
        raise InputError(f"{work}: no finished sync {of}there: make one with `make sync`")
    return stores[0][0]
