"""Writing a shard, which appears whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from data.runtime.files import replacing
from data.shards.format import FORMAT, ShardStatus, shard_status
from data.shards.sink import Sink, writing_hdf5

_BYTES_OF_A_SHARD = 1 << 14
_BYTES_OF_A_GROUP = 168
"""What HDF5 and the columns take beside pictures, names and templates; rounded up from files that were measured."""
_BYTES_OF_A_MASK = 0.25
"""Of a pixel, compressed; people in pictures of 64x32 and larger take less than half of that."""


UNKNOWN = 255
"""Of a mask where it is not known what is the person: all of it may be."""


@dataclass(frozen=True)
class Groups:
    """Some n groups, the rows of a shard, column by column.

    Attributes:
        images: uint8 (n, 1+S, H, W, 3), the photo first, then its versions.
        sources: name of each photo, its path below the data set's root.
        digests: SHA-256 of each photo's file, in hexadecimal.
        templates: int32 (n, S), which template each version wears.
        redrawn: bool (n,), False where no person was found.
        moved: float32 (n, 2), how far the redrawn clothes, and all the rest, are from the photo's, in grey levels.
        masks: uint8 (n, M, H, W), how much of a pixel is the person; M is 1 or 1+S, alike in all of a shard. None
            where that is not known of any.
        agreement: float32 (n,), how well pose and parsing agree, 0 to 1, or NaN; None where nothing is known of any.
        annotations: digest of each photo's annotation files, "" where nothing is known of them; empty for none at all.
        transparent: how many photos had transparent pixels.
    """

    images: npt.NDArray[np.uint8]
    sources: Sequence[str]
    digests: Sequence[str]
    templates: npt.NDArray[np.int32]
    redrawn: npt.NDArray[np.bool_]
    moved: npt.NDArray[np.float32]
    agreement: npt.NDArray[np.float32] | None = None
    annotations: Sequence[str] = ()
    transparent: int = 0
    masks: npt.NDArray[np.uint8] | None = None


class ShardWriter:
    """The shard being written by `writing_shard`."""

    def __init__(self, file: h5py.File, sink: Sink, name: str, versions: int, size: tuple[int, int]) -> None:
        shape = (1 + versions, *size, 3)
        self._file, self._sink, self._name = file, sink, name
        self._images = file.create_dataset(
            "images", (0, *shape), np.uint8, maxshape=(None, *shape), chunks=(1, *shape), fletcher32=True
        )
        self._masks: h5py.Dataset | None = None
        self._sources: list[str] = []
        self._digests: list[str] = []
        self._annotations: list[str] = []
        self._failures: list[tuple[str, str]] = []
        self._templates = np.empty((0, versions), np.int32)
        self._redrawn = np.empty(0, np.bool_)
        self._moved = np.empty((0, 2), np.float32)
        self._agreement = np.empty(0, np.float32)
        self._lacking: list[tuple[str, str]] = []
        self._unpainted: list[tuple[str, str]] = []
        self._transparent = 0

    def add(self, groups: Groups) -> None:
        """Append groups; OSError if the disk is full."""
        start = len(self._sources)
        self._images.resize(start + len(groups.sources), axis=0)
        self._images[start:] = groups.images
        if self._masks is None:
            self._masks = self._make_masks(1 if groups.masks is None else groups.masks.shape[1])
        self._masks.resize(start + len(groups.sources), axis=0)
        # In full: a single number h5py would write row by row of the pictures, ten times slower than all the rest.
        unknown_masks = np.full((len(groups.sources), *self._masks.shape[1:]), UNKNOWN, np.uint8)
        self._masks[start:] = unknown_masks if groups.masks is None else groups.masks
        self._sources += groups.sources
        self._digests += groups.digests
        self._annotations += groups.annotations or [""] * len(groups.sources)
        self._templates = np.concatenate([self._templates, groups.templates])
        self._redrawn = np.concatenate([self._redrawn, groups.redrawn])
        self._moved = np.concatenate([self._moved, groups.moved])
        unknown = np.full(len(groups.sources), np.nan, np.float32)
        agreement = unknown if groups.agreement is None else groups.agreement
        self._agreement = np.concatenate([self._agreement, agreement])
        self._transparent += groups.transparent
        self._sink.check()

    def _make_masks(self, outlines: int) -> h5py.Dataset:
        shape = (outlines, *self._images.shape[2:4])
        # Silhouettes take a tenth of their bytes so, and no time that is noticed beside the pictures.
        options = {"chunks": (1, *shape), "compression": "gzip", "compression_opts": 1, "fletcher32": True}
        return self._file.create_dataset("masks", (0, *shape), np.uint8, maxshape=(None, *shape), **options)

    def fail(self, source: str, reason: str) -> None:
        """Note a photo that could not be read."""
        self._failures.append((source, reason))

    def lack(self, source: str, reason: str) -> None:
        """Note a photo among the groups whose annotation is missing or cannot be used."""
        self._lacking.append((source, reason))

    def leave_out(self, source: str, reason: str) -> None:
        """Note a photo that the painter failed on."""
        self._unpainted.append((source, reason))

    def status(self) -> ShardStatus:
        """Say what is in the shard so far."""
        return shard_status(
            self._name,
            self._sources,
            self._redrawn,
            self._failures,
            self._lacking,
            self._unpainted,
            self._agreement,
            self._transparent,
        )

    def finish(self, attributes: Mapping[str, Any]) -> None:
        """Write all but the pictures."""
        columns = {
            "source/path": _strings(self._sources),
            "source/sha256": _strings(self._digests),
            "source/annotation": _strings(self._annotations),
            "template": self._templates,
            "redrawn": self._redrawn,
            "moved": self._moved,
            "failed/path": _strings([source for source, _ in self._failures]),
            "failed/reason": _strings([reason for _, reason in self._failures]),
            "agreement": self._agreement,
            "unannotated/path": _strings([source for source, _ in self._lacking]),
            "unannotated/reason": _strings([reason for _, reason in self._lacking]),
            "unpainted/path": _strings([source for source, _ in self._unpainted]),
            "unpainted/reason": _strings([reason for _, reason in self._unpainted]),
        }
        self._masks = self._masks or self._make_masks(1)
        for name, column in columns.items():
            options = {"fletcher32": True, "chunks": column.shape} if column.size else {}
            # Where a column lies must not depend on when Python lets go of it, which a profiler's thread may put off.
            self._file.create_dataset(name, data=column, **options).id.close()
        self._file.attrs.update({**attributes, "transparent": self._transparent})


@contextmanager
def writing_shard(
    path: Path, versions: int, size: tuple[int, int], key: str, made_by: Mapping[str, Any]
) -> Iterator[ShardWriter]:
    """Give a writer for a shard, which appears whole when the block ends, or not at all if it raises.

    Args:
        path: its file.
        versions: S, the redrawn versions of each photo.
        size: height and width of the pictures.
        key: that of the store.
        made_by: any further attributes, strings and numbers.

    Raises:
        OSError: the disk is full.
    """
    with replacing(path) as temporary, writing_hdf5(temporary) as (file, sink):
        writer = ShardWriter(file, sink, path.name, versions, size)
        yield writer
        writer.finish({**made_by, "format": FORMAT, "key": key, "versions": versions, "size": size})


def shard_bytes(names: Sequence[str], versions: int, size: tuple[int, int]) -> int:
    """Say how many bytes a shard of the photos with these names takes at most, HDF5's own among them."""
    height, width = size
    pictures = (1 + versions) * height * width * (3 + _BYTES_OF_A_MASK)
    longest = max(len(os.fsencode(name)) for name in names)
    return _BYTES_OF_A_SHARD + len(names) * (int(pictures) + _BYTES_OF_A_GROUP + longest + 4 * versions)


def _strings(values: Sequence[str]) -> npt.NDArray[np.bytes_]:
    """Strings of one length in bytes, which (unlike HDF5's of varying length) are under the checksum."""
    encoded = [os.fsencode(value) for value in values]
    return np.array(encoded, dtype=h5py.string_dtype("utf-8", max(map(len, encoded), default=1)))
