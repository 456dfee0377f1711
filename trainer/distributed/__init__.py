"""Training by several processes at once: `distributed.rank()` and the like, and batch norm over all their images."""

from trainer.distributed.batch_norm import SyncedBatchNorm, synchronised
from trainer.distributed.processes import (
    any_rank,
    first_found,
    from_first,
    gather,
    mean,
    on_first,
    one_voice,
    process_group,
    rank,
    share_buffers,
    wait_for_first,
    world_size,
)

__all__ = [
    "SyncedBatchNorm",
    "any_rank",
    "first_found",
    "from_first",
    "gather",
    "mean",
    "on_first",
    "one_voice",
    "process_group",
    "rank",
    "share_buffers",
    "synchronised",
    "wait_for_first",
    "world_size",
]
