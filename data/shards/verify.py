"""Verifying shards: every byte read again, and the photos compared with what they were."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from data.runtime.errors import InputError
from data.runtime.walk import digest_file
from data.shards.format import ShardStatus
from data.shards.manifest import Manifest, read_manifest
from data.shards.seal import Seal
from data.shards.shard import Shard, damaged, open_shard

CompareAnnotation = Callable[[str, str], None]
"""Raises InputError unless the annotation of the photo of this name has this digest."""


def verify(
    folder: Path, root: Path | None = None, annotation: CompareAnnotation | None = None
) -> Iterator[tuple[str, str | None]]:
    """Read every shard of a store to its last byte and give (name, what is wrong or None) of each.

    Args:
        folder: the store; missing shards are faults like others.
        root: the data set's folder, if its photos shall be compared too: one that is gone or has changed is a fault.
        annotation: compares a photo's annotation with what it was, if that shall be done too.

    Raises:
        InputError: the folder is no finished store.
    """
    manifest = read_manifest(folder)
    if not manifest.finished:
        raise InputError(f"{folder}: this sync is not finished: repeat the `make sync` that began it")
    for entry in manifest.shards:
        try:
            _verify_shard(folder / entry.name, manifest, entry, root, annotation)
        except InputError as error:
            yield entry.name, str(error)
        else:
            yield entry.name, None


def check_shard(path: Path, key: str, versions: int, size: tuple[int, int], seal: Seal | None) -> ShardStatus:
    """Read a shard to its last byte and say what is in it, with the seal it has now.

    Args:
        path: its file.
        key: of its store.
        versions: S, as it should have them.
        size: height and width of its pictures, as they should be.
        seal: of the file when it was whole; without one HDF5's checksums have to serve, which leave some bytes out.

    Raises:
        InputError: it is missing, damaged, or of another store or format.
    """
    try:
        now = Seal.of(path)
    except OSError:
        now = None  # Opening it says what is wrong.
    shard = open_shard(path, key)
    with shard.file:
        if now is None or (seal and now.sha256 != seal.sha256):
            raise damaged(path, "its bytes are not those that were written")
        status = shard.status()
        shard.check_shape(status.photos, versions, size)
        if not seal:
            _read_all(shard)
    return dataclasses.replace(status, seal=now)


def _verify_shard(
    path: Path, manifest: Manifest, entry: ShardStatus, root: Path | None, annotation: CompareAnnotation | None
) -> None:
    check_shard(path, manifest.key, manifest.versions, manifest.size, entry.seal)
    shard = open_shard(path, manifest.key)
    with shard.file:
        shard.check_shape(entry.photos, manifest.versions, manifest.size)
        if root:
            for source, digest in zip(shard.sources, shard.digests, strict=True):
                _compare(root / source, digest)
        if annotation:
            for source, digest in zip(shard.sources, shard.annotations, strict=True):
                annotation(source, digest)


def _read_all(shard: Shard) -> None:
    """Read all pictures and masks, and so compare their checksums; columns are read when a shard is opened."""
    columns = (shard.sources, shard.digests, shard.templates, shard.redrawn, shard.moved)
    if {len(column) for column in columns} != {len(shard.images)}:
        raise damaged(shard.path, f"its columns do not all have {len(shard.images)} rows")
    group = np.empty(shard.images.shape[1:], np.uint8)
    masks = np.empty(shard.masks.shape[1:], np.uint8)
    for row in range(len(shard.images)):
        shard.read(row, group)
        shard.read_masks(row, masks)


def _compare(photo: Path, digest: str) -> None:
    if not photo.is_file():
        raise InputError(f"{photo}: the photo is gone since the sync: bring it back, or repeat `make sync`")
    if digest_file(photo) != digest:
        raise InputError(f"{photo}: the photo has changed since the sync: repeat `make sync`")
