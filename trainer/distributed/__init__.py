"""Training by several processes at once: `distributed.rank()` and the like, and batch norm over all their images."""

from trainer.distributed.batch_norm import SyncedBatchNorm, synchronised
from trainer.distributed.processes import (
    any_rank,
    from_first,
    gather,
    mean,
    process_group,
    rank,
    share_buffers,
    world_size,
)

__all__ = [
    "SyncedBatchNorm",
    "any_rank",
    "from_first",
    "gather",
    "mean",
    "process_group",
    "rank",
    "share_buffers",
    "synchronised",
    "world_size",
]
