"""The sync: every photo redrawn once, shard by shard, into a store that training reads, on one machine or many."""

from pipeline.sync.forecast import Forecast, foresee
from pipeline.sync.plan import Plan, plan_sync, training_photos
from pipeline.sync.run import prepare_sync, run_sync
from pipeline.sync.status import PhotoState, Report, last_store, report

__all__ = [
    "Forecast",
    "PhotoState",
    "Plan",
    "Report",
    "foresee",
    "last_store",
    "plan_sync",
    "prepare_sync",
    "report",
    "run_sync",
    "training_photos",
]
