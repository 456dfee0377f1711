"""What is there already of a store, and whole: by the seals in its manifest, or for certain by reading every byte."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from data.runtime.errors import InputError
from data.runtime.progress import progress
from data.shards import ShardStatus, check_shard, read_manifest
from pipeline.sync.worker import Task

_DELAY = 2.0


def recorded_shards(folder: Path, key: str) -> dict[str, ShardStatus]:
    """Give the shards, by name, of which the manifest in the folder has a seal; none if there is none to be read."""
    try:
        manifest = read_manifest(folder)
    except InputError:
        return {}
    return {shard.name: shard for shard in manifest.shards if shard.seal} if manifest.key == key else {}


def whole_shards(
    tasks: Sequence[Task], recorded: Mapping[str, ShardStatus], trusted: Mapping[str, ShardStatus]
) -> tuple[dict[str, ShardStatus], list[str]]:
    """Find the shards that are there and whole.

    Args:
        tasks: the shards there should be.
        recorded: shards with their seals; their bytes are compared with the digest. What has no seal, as a killed sync
            leaves it behind, is read by HDF5's checksums.
        trusted: shards with their seals that are not read if nothing has written to them since.

    Returns:
        What is in the whole ones, by name, and what is wrong with each of the others that are there.
    """
    whole: dict[str, ShardStatus] = {}
    faults = []
    with progress("checking shards", len(tasks), "shards", delay=_DELAY) as checked:
        for task in tasks:
            name = task.path.name
            before = trusted.get(name)
            if before and before.seal and before.seal.untouched(task.path):
                whole[name] = before
            elif task.path.exists():
                seal = recorded[name].seal if name in recorded else None
                try:
                    whole[name] = check_shard(task.path, task.key, task.painter.versions, task.painter.size, seal)
                except InputError as error:
                    faults.append(str(error))
            checked.advance()
    return whole, faults
