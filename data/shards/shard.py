"""One shard, open for reading."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from data.runtime.errors import InputError
from data.shards.format import FORMAT, ShardStatus, shard_status


@dataclass(frozen=True)
class Pictures:
    """The pictures and masks of a shard that is open; they stay on disk."""

    path: Path
    file: h5py.File
    images: h5py.Dataset
    masks: h5py.Dataset

    def read(self, row: int, group: npt.NDArray[np.uint8]) -> None:
        """Read a group from the disk into `group`, uint8 (1+S, H, W, 3); InputError if its checksum is wrong."""
        try:
            group[...] = self.images[row]
        except OSError as error:
            raise damaged(self.path, f"group {row}: {error}") from error

    def read_masks(self, row: int, masks: npt.NDArray[np.uint8]) -> None:
        """Read a group's masks from the disk into `masks`, uint8 (M, H, W); InputError if their checksum is wrong."""
        try:
            masks[...] = self.masks[row]
        except OSError as error:
            raise damaged(self.path, f"masks of group {row}: {error}") from error

    def check_shape(self, photos: int, versions: int, size: tuple[int, int]) -> None:
        """Raise InputError unless the images are as many and as large as the manifest says."""
        expected = (photos, 1 + versions, *size, 3)
        if self.images.shape != expected:
            raise damaged(self.path, f"images are {self.images.shape}, the manifest says {expected}")
        if self.masks.shape not in [(photos, outlines, *size) for outlines in (1, 1 + versions)]:
            raise damaged(self.path, f"masks are {self.masks.shape}, for images {expected}")


@dataclass(frozen=True)
class Shard(Pictures):
    """A shard that is open, with its columns as `data.shards.format` describes them."""

    sources: list[str]
    digests: list[str]
    annotations: list[str]
    templates: npt.NDArray[np.int32]
    redrawn: npt.NDArray[np.bool_]
    moved: npt.NDArray[np.float32]
    failures: tuple[tuple[str, str], ...]
    unannotated: tuple[tuple[str, str], ...]
    unpainted: tuple[tuple[str, str], ...]
    agreement: npt.NDArray[np.float32]
    transparent: int

    def status(self) -> ShardStatus:
        """Say what is in it; no picture is read."""
        return shard_status(
            self.path.name,
            self.sources,
            self.redrawn,
            self.failures,
            self.unannotated,
            self.unpainted,
            self.agreement,
            self.transparent,
        )


def open_pictures(path: Path, key: str) -> Pictures:
    """Open a shard of the store with this key for its pictures alone, which takes a sixth of the time.

    Raises:
        InputError: it is missing, damaged, or of another store or format.
    """
    if not path.is_file():
        raise InputError(f"{path}: this shard is missing: repeat `make sync` to make it again")
    try:
        # Finished shards never change, so no lock is needed (network disks often have none); groups are read in random
        # order, so HDF5's cache of chunks would only copy them once more.
        file = h5py.File(path, "r", locking=False, rdcc_nbytes=0)
        if file.attrs["format"] != FORMAT:
            raise InputError(
                f"{path}: a shard of format {file.attrs['format']}, but this program reads {FORMAT}: remove the file "
                "and repeat `make sync`"
            )
        if file.attrs["key"] != key:
            raise InputError(f"{path}: made by another sync (key {file.attrs['key']}, not {key}): remove the file")
        return Pictures(path, file, file["images"], file["masks"])
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise damaged(path, str(error)) from error


def open_shard(path: Path, key: str) -> Shard:
    """Open a shard of the store with this key and read its columns; InputError as for `open_pictures`."""
    opened = open_pictures(path, key)
    file = opened.file
    try:
        sources = _texts(file["source/path"])
        # Older shards do not say how well pose and parsing agree, nor of which annotations they were made; where the
        # painter failed on a photo, there was none.
        annotations = _texts(file["source/annotation"]) if "source/annotation" in file else [""] * len(sources)
        agreement = file["agreement"][:] if "agreement" in file else np.full(len(sources), np.nan, np.float32)
        return Shard(
            path=path,
            file=file,
            images=opened.images,
            masks=opened.masks,
            sources=sources,
            digests=_texts(file["source/sha256"]),
            annotations=annotations,
            templates=file["template"][:],
            redrawn=file["redrawn"][:],
            moved=file["moved"][:],
            failures=_reasons(file, "failed"),
            unannotated=_reasons(file, "unannotated") if "unannotated" in file else (),
            unpainted=_reasons(file, "unpainted") if "unpainted" in file else (),
            agreement=agreement,
            transparent=int(file.attrs.get("transparent", 0)),
        )
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise damaged(path, str(error)) from error


def read_status(path: Path, key: str) -> ShardStatus:
    """Say what is in a shard; no picture is read. InputError as for `open_shard`."""
    shard = open_shard(path, key)
    with shard.file:
        return shard.status()


def damaged(path: Path, reason: str) -> InputError:
    """Make the error that says what is wrong with a shard, and what to do."""
    return InputError(f"{path}: this shard is damaged ({reason}): remove the file and repeat `make sync`")


def _reasons(file: h5py.File, group: str) -> tuple[tuple[str, str], ...]:
    return tuple(zip(_texts(file[f"{group}/path"]), _texts(file[f"{group}/reason"]), strict=True))


def _texts(column: h5py.Dataset) -> list[str]:
    return [os.fsdecode(value) for value in column[:]]
