"""The shards: photos with their redrawn versions, written once by the pipeline and read by the trainer."""

from data.shards.store import (
    FORMAT,
    MANIFEST,
    ShardStatus,
    ShardWriter,
    SyncStore,
    newest_store,
    read_manifest,
    read_status,
    verify,
    writing_shard,
)

__all__ = [
    "FORMAT",
    "MANIFEST",
    "ShardStatus",
    "ShardWriter",
    "SyncStore",
    "newest_store",
    "read_manifest",
    "read_status",
    "verify",
    "writing_shard",
]
