"""Carrying out a plan: what is missing of a store is made, what is whole stays."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from data.runtime.errors import InputError, Interrupted, RunError
from data.runtime.logs import get_logger, log_to_folder
from data.shards import (
    INPUTS,
    MANIFEST,
    Manifest,
    ShardStatus,
    copy_shard,
    newest_store,
    read_manifest,
    read_origin,
    read_status,
    shard_bytes,
    write_manifest,
)
from pipeline.annotate.agreement import DOUBTFUL, REFUSED, disagreement
from pipeline.annotate.on_disk import places_of
from pipeline.paint.painter import Annotated
from pipeline.sync.lock import only_sync
from pipeline.sync.plan import Plan
from pipeline.sync.pool import make_shards
from pipeline.sync.worker import Task, describe

_SHOWN = 5
_BESIDE_SHARDS = 1 << 16
"""Bytes of the manifest and the log of a small store."""

_log = get_logger(__name__)


def run_sync(plan: Plan, jobs: int = 1, cluster: str | None = None) -> tuple[Manifest, int]:
    """Make what is missing of a store.

    Whole shards of an earlier sync stay. A photo that cannot be read is left out of the store and listed in the
    manifest. What is said goes into `run.log` in the store's folder, too.

    Args:
        plan: what is to be made.
        jobs: processes on this machine.
        cluster: address of a Dask scheduler whose workers do it instead; they must see the same folders under the same
            names.

    Returns:
        The manifest, and how many shards were made just now.

    Raises:
        InputError: no photo can be read, or a person was found in none.
        RunError: another sync is at work on the folder, the disk is too small, or a shard failed twice.
    """
    folder, total = plan.folder, len(plan.tasks)
    folder.mkdir(parents=True, exist_ok=True)
    with log_to_folder(folder):
        _log.info(f"{len(plan.sources):,} photos in {plan.painter.versions} versions, {total} shards: {folder}")
        if _is_complete(plan):
            # Nothing is made, so no lock is needed, and the disk need not be writable.
            manifest, made, done = _ask_for(plan), 0, "complete already, nothing to do"
        else:
            with only_sync(folder):
                manifest, made = _complete(plan, jobs, cluster)
            done = f"{made} of {total} shards made now"
        _warn(manifest, plan.painter.origin)
        _log.info(f"{manifest.redrawn:,} photos redrawn ({done})")
    return manifest, made


def prepare_sync(plan: Plan) -> None:
    """Do only what the painter needs before the first photo, so that it can be looked at."""
    plan.folder.mkdir(parents=True, exist_ok=True)
    with only_sync(plan.folder):
        _prepare(plan)


def _prepare(plan: Plan) -> None:
    plan.painter.prepare(plan.folder.absolute(), [plan.benchmark.root.absolute() / source for source in plan.sources])


def _is_complete(plan: Plan) -> bool:
    """Whether the store says that it is finished, and all of its shards are whole."""
    try:
        if not read_manifest(plan.folder).finished:
            return False
        for task in plan.tasks:
            read_status(task.path, task.key)
    except InputError:
        return False
    return True


def _complete(plan: Plan, jobs: int, cluster: str | None) -> tuple[Manifest, int]:
    """Make the missing shards and write the manifest of the whole store; give it, and how many were made."""
    folder, tasks = plan.folder, plan.tasks
    statuses = _whole(tasks)
    missing = [task for task in tasks if task.path.name not in statuses]
    total = len(tasks)
    _check_space(missing)
    write_manifest(folder, _manifest(plan, statuses, None))
    try:
        _prepare(plan)
        missing = _take_over(plan, missing, statuses)
        # Once more, since what the painter keeps of all photos is on the disk now.
        _check_space(missing)
        faults = make_shards(missing, statuses, jobs, cluster)
        # What failed may have met a passing trouble (a network disk, a worker that died): it gets a second chance.
        failed = {fault.name for fault in faults}
        faults = make_shards([task for task in missing if task.path.name in failed], statuses, jobs, cluster)
    except KeyboardInterrupt:
        raise Interrupted(
            f"interrupted: {len(statuses)} of {total} shards are whole; repeat the same command to go on"
        ) from None
    if faults:
        raise RunError(
            f"{len(faults)} of {total} shards failed, {faults[0].name} with: {faults[0].reason}; "
            "the others are whole, repeat the same command to go on"
        )
    manifest = _manifest(plan, statuses, datetime.now(timezone.utc).isoformat(timespec="seconds"))
    _check_worth(manifest, plan.painter.origin)
    write_manifest(folder, manifest)
    return manifest, len(missing)


def _ask_for(plan: Plan) -> Manifest:
    """Note in a complete store that it was asked for, and where: training takes the last one and its labels.

    Raises:
        InputError: the store cannot be written, and it names another place than the one asked for.
    """
    complete, asked = read_manifest(plan.folder), _manifest(plan, {}, None)
    manifest = dataclasses.replace(
        complete,
        root=asked.root,
        list_file=asked.list_file,
        list_sha256=asked.list_sha256,
        annotation=asked.annotation,
    )
    try:
        if manifest == complete:
            os.utime(plan.folder / MANIFEST)
        else:
            write_manifest(plan.folder, manifest)
    except OSError as error:
        if manifest != complete:
            raise InputError(
                f"{plan.folder}: cannot be written ({error.strerror}), so it goes on naming {complete.place} as its "
                "data set's place: make it writable, or give that place as DATA_ROOT"
            ) from None
        if newest_store(plan.stores).resolve() != plan.folder.resolve():
            _log.warning(
                f"{plan.folder}: cannot be written ({error.strerror}), so training goes on taking the store asked for "
                "before: give it this one as --sync"
            )
    return manifest


def _take_over(plan: Plan, missing: Sequence[Task], statuses: dict[str, ShardStatus]) -> list[Task]:
    """Copy shards whose inputs are the same from other stores of the data set, note them, and give the other tasks.

    So a change to one photo's annotation, which changes the key, leaves the work on the others.
    """
    others = [other for other in sorted(plan.stores.glob(f"{plan.benchmark.name}-*")) if other.name != plan.folder.name]
    left = []
    for task in missing:
        made_by = describe(task) if any((other / task.path.name).is_file() for other in others) else {}
        same = (other / task.path.name for other in others if _made_of(other / task.path.name, made_by.get(INPUTS)))
        try:
            statuses[task.path.name] = copy_shard(next(same), task.path, task.key, made_by)
        except (StopIteration, InputError):
            left.append(task)
    if len(left) < len(missing):
        _log.info(f"{len(missing) - len(left)} shards are copies of other stores', made of the same photos")
    return left


def _made_of(shard: Path, inputs: str | None) -> bool:
    origin = read_origin(shard) if inputs else None
    return origin is not None and origin[1] == inputs


def _whole(tasks: Sequence[Task]) -> dict[str, ShardStatus]:
    """The shards that are already there; one that is damaged, or of another sync, counts as missing."""
    statuses = {}
    for task in tasks:
        if task.path.exists():
            try:
                statuses[task.path.name] = read_status(task.path, task.key)
            except InputError as error:
                _log.warning("%s (it is made again)", error)
    return statuses


def _check_space(tasks: Sequence[Task]) -> None:
    if not tasks:
        return
    needed = _BESIDE_SHARDS + sum(shard_bytes(task.sources, task.painter.versions, task.painter.size) for task in tasks)
    free = shutil.disk_usage(tasks[0].path.parent).free
    if free < needed:
        raise RunError(
            f"{tasks[0].path.parent}: the shards need {needed / 1e9:.1f} GB, but {free / 1e9:.1f} GB are free: "
            "free some space, then repeat"
        )


def _check_worth(manifest: Manifest, origin: str) -> None:
    """Refuse a store without photos, without a redrawn one, or whose pose and parsing do not belong together."""
    failures = manifest.failures
    if not manifest.photos:
        raise InputError(f"none of the {len(failures):,} photos can be read; the first: {failures[0][1]}")
    if manifest.unannotated and not manifest.redrawn:
        raise InputError(
            f"{len(manifest.unannotated):,} of {manifest.photos:,} photos have no annotation that can be used, and no "
            f"other shows a person; the first: {manifest.unannotated[0][1]}"
        )
    if not manifest.redrawn:
        raise InputError(
            f"a person was found in none of the {manifest.photos:,} photos: see that pose and parsing belong to them"
        )
    if manifest.agreement is not None and manifest.agreement < REFUSED:
        raise InputError(disagreement(manifest.agreement, manifest.redrawn, origin))


def _warn(manifest: Manifest, origin: str) -> None:
    """Say what is amiss in a finished store."""
    failures, lacking, alone = manifest.failures, manifest.unannotated, len(manifest.without_person)
    for _, reason in (*failures[:_SHOWN], *lacking[:_SHOWN]):
        _log.warning(reason)
    if failures:
        _log.warning("%s photos could not be read and are left out (see %s)", f"{len(failures):,}", MANIFEST)
    if manifest.agreement is not None and manifest.agreement < DOUBTFUL:
        _log.warning(disagreement(manifest.agreement, manifest.redrawn, origin))
    if lacking:
        _log.warning(
            "%s photos have no annotation that can be used; their versions are copies (see %s)",
            f"{len(lacking):,}",
            MANIFEST,
        )
    if alone:
        _log.warning("in %s photos no person was found; their versions are copies (see %s)", f"{alone:,}", MANIFEST)


def _manifest(plan: Plan, statuses: dict[str, ShardStatus], finished: str | None) -> Manifest:
    benchmark = plan.benchmark
    return Manifest(
        key=plan.key,
        dataset=benchmark.name,
        root=str(benchmark.root.absolute()),
        versions=plan.painter.versions,
        size=plan.painter.size,
        shards=tuple(statuses[name] for name in sorted(statuses)),
        finished=finished,
        recipe=plan.painter.recipe,
        list_file=str(benchmark.list_file.absolute()) if benchmark.list_file else None,
        list_sha256=benchmark.list_sha256,
        annotation=places_of(plan.painter.annotator) if isinstance(plan.painter, Annotated) else {},
    )
