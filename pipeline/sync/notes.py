"""Notes of a sync at work: which shards are whole and how fast new ones are made, kept in the manifest."""

from __future__ import annotations

import time

from data.runtime.errors import InputError
from data.shards import Manifest, ShardFault, ShardStatus, read_manifest, write_manifest
from pipeline.annotate.on_disk import places_of
from pipeline.paint.painter import Annotated
from pipeline.sync.plan import Plan

_BETWEEN_MANIFESTS = 10.0
"""Seconds: what a killed sync made in the last ones is read to the last byte by the next, for want of a seal."""


class Notes:
    """The shards of a plan's store that are whole, by name; the manifest in the store's folder follows.

    Args:
        plan: what is being made.
        whole: the shards that were there before.
    """

    def __init__(self, plan: Plan, whole: dict[str, ShardStatus]) -> None:
        self._plan, self._whole = plan, dict(whole)
        self._rate = _last_rate(plan)
        self._photos = 0
        self._began = self._written = time.monotonic()

    def __len__(self) -> int:
        return len(self._whole)

    def __contains__(self, name: str) -> bool:
        return name in self._whole

    def begin(self) -> None:
        """Let the time begin in which shards are made."""
        self._began, self._photos = time.monotonic(), 0

    def took_over(self, shard: ShardStatus) -> None:
        """Note a shard that another store had."""
        self._whole[shard.name] = shard

    def made(self, shard: ShardStatus) -> None:
        """Note a shard that was made; now and then the manifest is written, so that a kill leaves little unknown."""
        self._whole[shard.name] = shard
        self._photos += shard.tried
        now = time.monotonic()
        self._rate = round(self._photos / max(now - self._began, 1e-3), 3)
        if now - self._written >= _BETWEEN_MANIFESTS:
            self.write()
            self._written = now

    def manifest(self, finished: str | None = None, faults: tuple[ShardFault, ...] = ()) -> Manifest:
        """Give the manifest of what there is.

        Args:
            finished: the time when the last shard was made, if none is missing.
            faults: shards that could not be made.
        """
        benchmark, painter = self._plan.benchmark, self._plan.painter
        return Manifest(
            key=self._plan.key,
            dataset=benchmark.name,
            root=str(benchmark.root.absolute()),
            versions=painter.versions,
            size=painter.size,
            shards=tuple(self._whole[name] for name in sorted(self._whole)),
            finished=finished,
            recipe=painter.recipe,
            list_file=str(benchmark.list_file.absolute()) if benchmark.list_file else None,
            list_sha256=benchmark.list_sha256,
            annotation=places_of(painter.annotator) if isinstance(painter, Annotated) else {},
            faults=faults,
            photos_per_second=self._rate,
        )

    def write(self, faults: tuple[ShardFault, ...] = ()) -> None:
        """Write the manifest of an unfinished store."""
        write_manifest(self._plan.folder, self.manifest(faults=faults))


def _last_rate(plan: Plan) -> float | None:
    try:
        return read_manifest(plan.folder).photos_per_second
    except InputError:
        return None
