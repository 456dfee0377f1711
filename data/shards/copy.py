"""Taking a shard over from another store, whose pixels are known to be those wanted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from data.shards.format import ShardStatus
from data.shards.shard import damaged, open_shard
from data.shards.writer import Groups, writing_shard

INPUTS = "inputs"
"""Attribute of a shard: digest of all that decides its pixels, from which another store knows it for one of its own."""

_AT_ONCE = 32


def read_origin(path: Path) -> tuple[str, str] | None:
    """Give a shard's key and the digest of its inputs; None if it is not there, is damaged or does not tell."""
    try:
        with h5py.File(path, "r", locking=False) as file:
            return str(file.attrs["key"]), str(file.attrs[INPUTS])
    except (OSError, KeyError, RuntimeError):
        return None


def copy_shard(source: Path, target: Path, key: str, made_by: Mapping[str, Any]) -> ShardStatus:
    """Write a shard anew for the store with this key; every checksum of the other one is compared.

    Args:
        source: the shard of another store.
        target: the file to be written.
        key: of the store that it is to belong to.
        made_by: further attributes, as for `writing_shard`.

    Raises:
        InputError: the shard is damaged.
        OSError: the disk is full.
    """
    origin = read_origin(source)
    if origin is None:
        raise damaged(source, "it does not say what it was made of")
    shard = open_shard(source, origin[0])
    with shard.file:
        count, groups, height, width, _ = shard.images.shape
        with writing_shard(target, groups - 1, (height, width), key, made_by) as writer:
            for failure in shard.failures:
                writer.fail(*failure)
            for lacking in shard.unannotated:
                writer.lack(*lacking)
            for unpainted in shard.unpainted:
                writer.leave_out(*unpainted)
            for start in range(0, count, _AT_ONCE):
                rows = slice(start, min(start + _AT_ONCE, count))
                images = np.empty((rows.stop - start, *shard.images.shape[1:]), np.uint8)
                masks = np.empty((len(images), *shard.masks.shape[1:]), np.uint8)
                for row, (group, people) in enumerate(zip(images, masks, strict=True), start):
                    shard.read(row, group)
                    shard.read_masks(row, people)
                writer.add(
                    Groups(
                        images=images,
                        sources=shard.sources[rows],
                        digests=shard.digests[rows],
                        annotations=shard.annotations[rows],
                        templates=shard.templates[rows],
                        redrawn=shard.redrawn[rows],
                        moved=shard.moved[rows],
                        agreement=shard.agreement[rows],
                        # Counted for the shard as a whole.
                        transparent=shard.transparent if start == 0 else 0,
                        masks=masks,
                    )
                )
    return writer.status().sealed(target)
