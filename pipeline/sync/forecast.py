"""The forecast of a sync: what it would make, how many bytes and how long that takes; nothing is written."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from data.shards import ShardStatus, all_stores
from pipeline.sync.plan import Plan
from pipeline.sync.resume import recorded_shards, whole_shards
from pipeline.sync.run import needed_bytes


@dataclass(frozen=True)
class Forecast:
    """What a sync would do.

    Attributes:
        folder: of the store.
        photos: in the whole data set.
        versions: S.
        shards: in the whole store.
        faults: what is wrong with each shard that is there but not whole.
        to_make: shards that would be made.
        to_redraw: photos in them.
        needed: bytes on the disk, at most.
        free: bytes that are free there.
        photos_per_second: of the last sync like this one; None where there was none.
    """

    folder: Path
    photos: int
    versions: int
    shards: int
    faults: Sequence[str]
    to_make: int
    to_redraw: int
    needed: int
    free: int
    photos_per_second: float | None

    def __str__(self) -> str:
        lines = [
            f"{self.folder}: {self.photos:,} photos in {self.versions} versions, {self.shards:,} shards",
            *(f"{fault} (it would be made again)" for fault in self.faults),
        ]
        if not self.to_make:
            return "\n".join([*lines, "complete already, nothing to do"])
        lines += [
            f"to make: {self.to_make:,} shards, {self.to_redraw:,} photos; those that other stores have are copied",
            f"to write: at most {_in_bytes(self.needed)}; {_in_bytes(self.free)} are free",
        ]
        if self.photos_per_second:
            seconds = timedelta(seconds=round(self.to_redraw / self.photos_per_second))
            lines.append(f"to wait: {seconds} at {self.photos_per_second:.1f} photos a second, as the last time")
        else:
            lines.append("to wait: not known, as nothing was made in this way before")
        return "\n".join(lines)


def foresee(plan: Plan, deep: bool = False, retry_failed: bool = False) -> Forecast:
    """Say what `run_sync` would do with the same arguments."""
    recorded = recorded_shards(plan.folder, plan.key)
    whole, faults = whole_shards(plan.tasks, recorded, {} if deep else recorded)
    missing = [task for task in plan.tasks if _to_make(whole.get(task.path.name), retry_failed)]
    existing = next(folder for folder in (plan.folder, *plan.folder.absolute().parents) if folder.exists())
    return Forecast(
        folder=plan.folder,
        photos=len(plan.photos),
        versions=plan.painter.versions,
        shards=len(plan.tasks),
        faults=faults,
        to_make=len(missing),
        to_redraw=sum(len(task.photos) for task in missing),
        needed=needed_bytes(plan, missing),
        free=shutil.disk_usage(existing).free,
        photos_per_second=_last_rate(plan),
    )


def _to_make(shard: ShardStatus | None, retry_failed: bool) -> bool:
    return shard is None or (retry_failed and shard.with_failures)


def _last_rate(plan: Plan) -> float | None:
    """The rate of the last sync with a painter of this kind, in as many versions of this size: this store's if any."""
    painter = plan.painter
    wanted = (painter.recipe.get("painter"), painter.versions, painter.size)
    rates = {
        folder.name: manifest.photos_per_second
        for folder, manifest in all_stores(plan.stores)
        if manifest.photos_per_second and (manifest.recipe.get("painter"), manifest.versions, manifest.size) == wanted
    }
    return rates.get(plan.folder.name) or next(iter(rates.values()), None)


def _in_bytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
