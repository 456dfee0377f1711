"""The shards: photos with their redrawn versions, written once by the pipeline and read by the trainer."""

from data.shards.copy import INPUTS, copy_shard, read_origin
from data.shards.format import FORMAT, ShardStatus
from data.shards.manifest import MANIFEST, Manifest, ShardFault, read_manifest, write_manifest
from data.shards.photos import (
    PHOTOS,
    Changes,
    PhotoRecord,
    compare_photos,
    known_photos,
    read_photos,
    record_photos,
    write_photos,
)
from data.shards.shard import open_shard, read_status
from data.shards.store import SyncStore, all_stores, finished_stores, newest_store
from data.shards.verify import check_shard, verify
from data.shards.writer import UNKNOWN, Groups, ShardWriter, shard_bytes, writing_shard

__all__ = [
    "FORMAT",
    "INPUTS",
    "MANIFEST",
    "PHOTOS",
    "UNKNOWN",
    "Changes",
    "Groups",
    "Manifest",
    "PhotoRecord",
    "ShardFault",
    "ShardStatus",
    "ShardWriter",
    "SyncStore",
    "all_stores",
    "check_shard",
    "compare_photos",
    "copy_shard",
    "finished_stores",
    "known_photos",
    "newest_store",
    "open_shard",
    "read_manifest",
    "read_origin",
    "read_photos",
    "read_status",
    "record_photos",
    "shard_bytes",
    "verify",
    "write_manifest",
    "write_photos",
    "writing_shard",
]
