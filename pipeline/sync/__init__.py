"""The sync: every photo redrawn once, shard by shard, into a store that training reads, on one machine or many."""

from pipeline.sync.plan import Plan, plan_sync, training_photos
from pipeline.sync.run import prepare_sync, run_sync

__all__ = ["Plan", "plan_sync", "prepare_sync", "run_sync", "training_photos"]
