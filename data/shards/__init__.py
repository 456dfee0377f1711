"""The shards: photos with their redrawn versions, written once by the pipeline and read by the trainer."""

from data.shards.copy import INPUTS, copy_shard, read_origin
from data.shards.format import FORMAT, MANIFEST, Manifest, ShardStatus, read_manifest, write_manifest
from data.shards.shard import read_status
from data.shards.store import SyncStore, finished_stores, newest_store
from data.shards.verify import verify
from data.shards.writer import UNKNOWN, Groups, ShardWriter, shard_bytes, writing_shard

__all__ = [
    "FORMAT",
    "INPUTS",
    "MANIFEST",
    "UNKNOWN",
    "Groups",
    "Manifest",
    "ShardStatus",
    "ShardWriter",
    "SyncStore",
    "copy_shard",
    "finished_stores",
    "newest_store",
    "read_manifest",
    "read_origin",
    "read_status",
    "shard_bytes",
    "verify",
    "write_manifest",
    "writing_shard",
]
