"""Shards: HDF5 files of groups, a group being a photo and its redrawn versions.

A store is a folder of `shard-00000.h5 ...` and a `manifest.json`, whose `finished` is the time when the last shard was
made, null before.
Photos are numbered through all shards in their order. A shard holds

    images         uint8 (n, 1+S, H, W, 3)  the photo first; one chunk a group, so that a group is one read
    source/path    string (n,)              the photo's path inside the data set's root, with /
    source/sha256  string (n,)              of the photo's file
    template       int32 (n, S)             which template each version wears
    redrawn        bool (n,)                False: no person was found, the group is 1+S copies of the photo
    moved          float32 (n, 2)           how far the redrawn clothes, and all the rest, are from the photo's: mean
                                            absolute difference in grey levels (0 to 255); NaN where not redrawn
    failed/path, failed/reason              photos that could not be read; they are in no group

each with HDF5's Fletcher-32 checksum, and attributes that say what made it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from data.runtime.errors import InputError
from data.runtime.files import replacing

FORMAT = 1
"""Version of the format; part of every key."""

MANIFEST = "manifest.json"

_MAX_OPEN = 256


@dataclass(frozen=True)
class ShardStatus:
    """What became of a shard: groups in it, paths of photos without a person, (path, reason) of each unread photo."""

    name: str
    photos: int
    without_person: tuple[str, ...]
    failures: tuple[tuple[str, str], ...]

    @property
    def redrawn(self) -> int:
        """Groups that were redrawn."""
        return self.photos - len(self.without_person)


class ShardWriter:
    """The shard being written by `writing_shard`."""

    def __init__(self, file: h5py.File, name: str, versions: int, size: tuple[int, int]) -> None:
        shape = (1 + versions, *size, 3)
        self._file, self._name, self._versions = file, name, versions
        self._images = file.create_dataset(
            "images", (0, *shape), np.uint8, maxshape=(None, *shape), chunks=(1, *shape), fletcher32=True
        )
        self._sources: list[str] = []
        self._digests: list[str] = []
        self._failures: list[tuple[str, str]] = []
        self._templates = np.empty((0, versions), np.int32)
        self._redrawn = np.empty(0, np.bool_)
        self._moved = np.empty((0, 2), np.float32)

    def add(
        self,
        groups: npt.NDArray[np.uint8],
        sources: Sequence[str],
        digests: Sequence[str],
        templates: npt.NDArray[np.int32],
        redrawn: npt.NDArray[np.bool_],
        moved: npt.NDArray[np.float32],
    ) -> None:
        """Append n groups, each column as the module's docstring says; digests are in hexadecimal."""
        start = len(self._sources)
        self._images.resize(start + len(sources), axis=0)
        self._images[start:] = groups
        self._sources += sources
        self._digests += digests
        self._templates = np.concatenate([self._templates, templates])
        self._redrawn = np.concatenate([self._redrawn, redrawn])
        self._moved = np.concatenate([self._moved, moved])

    def fail(self, source: str, reason: str) -> None:
        """Note a photo that could not be read."""
        self._failures.append((source, reason))

    def status(self) -> ShardStatus:
        """What is in the shard so far."""
        return _status(self._name, self._sources, self._redrawn, tuple(self._failures))

    def finish(self, attributes: Mapping[str, Any]) -> None:
        """Write all but the images."""
        columns = {
            "source/path": _strings(self._sources),
            "source/sha256": _strings(self._digests),
            "template": self._templates,
            "redrawn": self._redrawn,
            "moved": self._moved,
            "failed/path": _strings([source for source, _ in self._failures]),
            "failed/reason": _strings([reason for _, reason in self._failures]),
        }
        for name, column in columns.items():
            options = {"fletcher32": True, "chunks": column.shape} if column.size else {}
            self._file.create_dataset(name, data=column, **options)
        self._file.attrs.update(attributes)


@contextmanager
def writing_shard(
    path: Path, versions: int, size: tuple[int, int], key: str, made_by: Mapping[str, Any]
) -> Iterator[ShardWriter]:
    """Give a writer for the shard `path`, which appears whole when the block ends, or not at all if it raises.

    `key` is that of the store, `size` (height, width), `made_by` any further attributes (strings and numbers).
    """
    # In version 1.10 of HDF5's layout the metadata carry checksums too.
    with replacing(path) as temporary, h5py.File(temporary, "x", libver="v110") as file:
        writer = ShardWriter(file, path.name, versions, size)
        yield writer
        writer.finish({**made_by, "format": FORMAT, "key": key, "versions": versions, "size": size})


class SyncStore:
    """The groups of a finished sync, by number of the photo.

    Only the path is pickled; a process opens a shard when it first reads from it, also after a fork.
    Raises InputError if the folder is no store, is unfinished, or a shard is missing; reading raises InputError for a
    shard that is damaged or belongs to another store.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.manifest = read_manifest(self.path)
        if not self.manifest["finished"]:
            raise InputError(f"{self.path}: this sync is not finished: repeat the `make sync` that began it")
        self.versions = int(self.manifest["versions"])
        self.size: tuple[int, int] = (int(self.manifest["size"][0]), int(self.manifest["size"][1]))
        self._names = [shard["name"] for shard in self.manifest["shards"]]
        self._starts = np.cumsum([0, *(shard["photos"] for shard in self.manifest["shards"])])
        missing = [name for name in self._names if not (self.path / name).is_file()]
        if missing:
            raise InputError(
                f"{self.path}: {len(missing)} of {len(self._names)} shards are missing ({missing[0]}): "
                "repeat `make sync` to make them again"
            )
        self._process = os.getpid()
        self._open: dict[int, _Shard] = {}

    def __reduce__(self) -> tuple[type[SyncStore], tuple[Path]]:
        return SyncStore, (self.path,)

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
            shard = self._shard(number)
            try:
                group[...] = shard.images[row]
            except OSError as error:
                raise _damaged(self.path / self._names[number], f"group {row}: {error}") from error
        return groups

    def source(self, index: int) -> str:
        """Path of the photo inside the data set's root."""
        [(number, row)] = self._places([index])
        return self._shard(number).sources[row]

    def redrawn(self, index: int) -> bool:
        """Whether the photo was redrawn; False where no person was found, the group then holds copies of the photo."""
        [(number, row)] = self._places([index])
        return bool(self._shard(number).redrawn[row])

    def templates(self, index: int) -> npt.NDArray[np.int32]:
        """Number of the template that each version wears, int32 (S,)."""
        [(number, row)] = self._places([index])
        return self._shard(number).templates[row]

    def moved(self, index: int) -> npt.NDArray[np.float32]:
        """Difference of the redrawn clothes, and of all the rest, from the photo, (2,) in grey levels, or NaN."""
        [(number, row)] = self._places([index])
        return self._shard(number).moved[row]

    @property
    def shards(self) -> list[tuple[str, range]]:
        """Name of each shard and the numbers of its photos."""
        ends = self._starts.tolist()
        return [(name, range(*ends[at : at + 2])) for at, name in enumerate(self._names)]

    def _places(self, indices: Sequence[int] | npt.NDArray[np.integer[Any]]) -> list[tuple[int, int]]:
        """Shard and row of each photo."""
        wanted = np.asarray(indices, dtype=np.int64)
        outside = wanted[(wanted < 0) | (wanted >= len(self))]
        if outside.size:
            raise IndexError(f"photo {outside[0]} of {len(self)}")
        shards = np.searchsorted(self._starts, wanted, side="right") - 1
        return list(zip(shards.tolist(), (wanted - self._starts[shards]).tolist(), strict=True))

    def _shard(self, number: int) -> _Shard:
        if self._process != os.getpid():
            self._process, self._open = os.getpid(), {}
        if number not in self._open:
            if len(self._open) == _MAX_OPEN:
                self._open.pop(next(iter(self._open))).file.close()
            expected = self.manifest["shards"][number]["photos"]
            shard = _open_shard(self.path / self._names[number], self.manifest["key"])
            if shard.images.shape != (expected, 1 + self.versions, *self.size, 3):
                raise _damaged(self.path / self._names[number], f"images are {shard.images.shape}")
            self._open[number] = shard
        return self._open[number]


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a store, finished or not. Raises InputError if there is none or its format is unknown."""
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        version = manifest["format"]
    except FileNotFoundError:
        raise InputError(f"{folder}: no {MANIFEST}, so this is no sync folder: make one with `make sync`") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: damaged ({error}): remove it and repeat `make sync`") from error
    if version != FORMAT:
        raise InputError(f"{path}: format {version}, but this program reads {FORMAT}: repeat `make sync`")
    return dict(manifest)


def newest_store(work: Path, dataset: str | None = None) -> Path:
    """The store in the folder `work` that was finished or asked for last. Raises InputError if there is none."""
    found = []
    for path in work.glob(f"*/{MANIFEST}"):
        try:
            manifest = read_manifest(path.parent)
        except InputError:
            continue  # of another version, or torn: no reason not to use those that are whole
        if manifest["finished"] and dataset in (None, manifest["dataset"]):
            found.append((path.stat().st_mtime_ns, path.parent))
    if not found:
        of = f"of {dataset} " if dataset else ""
        raise InputError(f"{work}: no finished sync {of}there: make one with `make sync`")
    return max(found)[1]


def read_status(path: Path, key: str) -> ShardStatus:
    """What is in a shard. Raises InputError if it is damaged or of another key. Pictures are not read."""
    shard = _open_shard(path, key)
    with shard.file:
        return _status(path.name, shard.sources, shard.redrawn, shard.failures)


def _status(
    name: str, sources: Sequence[str], redrawn: npt.NDArray[np.bool_], failures: tuple[tuple[str, str], ...]
) -> ShardStatus:
    alone = tuple(source for source, has_person in zip(sources, redrawn, strict=True) if not has_person)
    return ShardStatus(name, len(sources), alone, failures)


def verify(folder: Path, root: Path | None = None) -> Iterator[tuple[str, str | None]]:
    """Read every shard of a store to its last byte and give (name, what is wrong or None) of each.

    With the data set's `root` its photos are compared too: one that is gone or has changed since is a fault.
    Raises InputError if the folder is no finished store; missing shards are faults like others.
    """
    manifest = read_manifest(folder)
    if not manifest["finished"]:
        raise InputError(f"{folder}: this sync is not finished: repeat the `make sync` that began it")
    for entry in manifest["shards"]:
        try:
            _verify_shard(folder / entry["name"], manifest, int(entry["photos"]), root)
        except InputError as error:
            yield entry["name"], str(error)
        else:
            yield entry["name"], None


@dataclass(frozen=True)
class _Shard:
    file: h5py.File
    images: h5py.Dataset
    sources: list[str]
    digests: list[str]
    templates: npt.NDArray[np.int32]
    redrawn: npt.NDArray[np.bool_]
    moved: npt.NDArray[np.float32]
    failures: tuple[tuple[str, str], ...]


def _open_shard(path: Path, key: str) -> _Shard:
    if not path.is_file():
        raise InputError(f"{path}: this shard is missing: repeat `make sync` to make it again")
    try:
        # Finished shards never change, so no lock is needed (network disks often have none); groups are read in random
        # order, so HDF5's cache of chunks would only copy them once more.
        file = h5py.File(path, "r", locking=False, rdcc_nbytes=0)
        if file.attrs["key"] != key:
            raise InputError(f"{path}: made by another sync (key {file.attrs['key']}, not {key}): remove the file")
        failures = zip(_texts(file["failed/path"]), _texts(file["failed/reason"]), strict=True)
        return _Shard(
            file=file,
            images=file["images"],
            sources=_texts(file["source/path"]),
            digests=_texts(file["source/sha256"]),
            templates=file["template"][:],
            redrawn=file["redrawn"][:],
            moved=file["moved"][:],
            failures=tuple(failures),
        )
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise _damaged(path, str(error)) from error


def _verify_shard(path: Path, manifest: Mapping[str, Any], photos: int, root: Path | None) -> None:
    shard = _open_shard(path, manifest["key"])
    with shard.file:
        expected = (photos, 1 + manifest["versions"], *manifest["size"], 3)
        if shard.images.shape != expected:
            raise _damaged(path, f"images are {shard.images.shape}, the manifest says {expected}")
        if {len(shard.sources), len(shard.digests), len(shard.templates), len(shard.redrawn), len(shard.moved)} != {
            photos
        }:
            raise _damaged(path, f"its columns do not all have {photos} rows")
        for row in range(photos):
            try:
                shard.images[row]
            except OSError as error:
                raise _damaged(path, f"group {row}: {error}") from error
        for source, digest in zip(shard.sources, shard.digests, strict=True) if root else ():
            photo = Path(root or "", source)
            if not photo.is_file():
                raise InputError(f"{photo}: the photo is gone since the sync: bring it back, or repeat `make sync`")
            if sha256(photo.read_bytes()).hexdigest() != digest:
                raise InputError(f"{photo}: the photo has changed since the sync: repeat `make sync`")


def _damaged(path: Path, reason: str) -> InputError:
    return InputError(f"{path}: this shard is damaged ({reason}): remove the file and repeat `make sync`")


def _strings(values: Sequence[str]) -> npt.NDArray[np.bytes_]:
    """Strings of one length in bytes, which (unlike HDF5's of varying length) are under the checksum."""
    encoded = [os.fsencode(value) for value in values]
    return np.array(encoded, dtype=h5py.string_dtype("utf-8", max(map(len, encoded), default=1)))


def _texts(column: h5py.Dataset) -> list[str]:
    return [os.fsdecode(value) for value in column[:]]
