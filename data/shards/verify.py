"""Verifying a store: every byte read again, and the photos compared with what they were."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import numpy as np

from data.runtime.errors import InputError
from data.shards.format import Manifest, read_manifest
from data.shards.shard import damaged, open_shard

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
            _verify_shard(folder / entry.name, manifest, entry.photos, root, annotation)
        except InputError as error:
            yield entry.name, str(error)
        else:
            yield entry.name, None


def _verify_shard(
    path: Path, manifest: Manifest, photos: int, root: Path | None, annotation: CompareAnnotation | None
) -> None:
    shard = open_shard(path, manifest.key)
    with shard.file:
        shard.check_shape(photos, manifest.versions, manifest.size)
        columns = (shard.sources, shard.digests, shard.templates, shard.redrawn, shard.moved)
        if {len(column) for column in columns} != {photos}:
            raise damaged(path, f"its columns do not all have {photos} rows")
        group = np.empty(shard.images.shape[1:], np.uint8)
        masks = np.empty(shard.masks.shape[1:], np.uint8)
        for row in range(photos):
            shard.read(row, group)
            shard.read_masks(row, masks)
        if root:
            for source, digest in zip(shard.sources, shard.digests, strict=True):
                _compare(root / source, digest)
        if annotation:
            for source, digest in zip(shard.sources, shard.annotations, strict=True):
                annotation(source, digest)


def _compare(photo: Path, digest: str) -> None:
    if not photo.is_file():
        raise InputError(f"{photo}: the photo is gone since the sync: bring it back, or repeat `make sync`")
    if sha256(photo.read_bytes()).hexdigest() != digest:
        raise InputError(f"{photo}: the photo has changed since the sync: repeat `make sync`")
