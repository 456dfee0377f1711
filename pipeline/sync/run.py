"""Carrying out a plan: what is missing of a store is made, what is whole stays."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path

from data.lock import locked
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
    read_photos,
    shard_bytes,
    write_manifest,
    write_photos,
)
from pipeline.annotate.agreement import DOUBTFUL, REFUSED, disagreement, doubt
from pipeline.sync.notes import Notes
from pipeline.sync.plan import Plan
from pipeline.sync.pool import make_shards
from pipeline.sync.resume import recorded_shards, whole_shards
from pipeline.sync.worker import Task, describe

_SHOWN = 5
_BESIDE_SHARDS = 1 << 16
"""Bytes of the manifest and the log of a small store."""
_BESIDE_A_SHARD = 1 << 11
"""Bytes that the manifest says of a shard, twice while it is written anew."""

_log = get_logger(__name__)


def run_sync(
    plan: Plan, jobs: int = 1, cluster: str | None = None, deep: bool = False, retry_failed: bool = False
) -> tuple[Manifest, int]:
    """Make what is missing of a store.

    Whole shards of an earlier sync stay. A photo that cannot be read or redrawn is left out of the store and listed in
    the manifest. What is said goes into `run.log` in the store's folder, too.

    Args:
        plan: what is to be made.
        jobs: processes on this machine.
        cluster: address of a Dask scheduler, or its file, whose workers do it instead; they must see the same folders
            under the same names.
        deep: compare all bytes of the shards that are there with their digests, even where nothing has written to them.
        retry_failed: make the shards again that have photos which could not be read or redrawn, or whose annotation
            could not be used; until the new one is whole, the old one stays.

    Returns:
        The manifest, and how many shards were made just now.

    Raises:
        InputError: no photo can be read, or a person was found in none.
        RunError: another sync is at work on the folder, the disk is too small, or a shard failed twice.
    """
    folder, total = plan.folder, len(plan.tasks)
    folder.mkdir(parents=True, exist_ok=True)
    with log_to_folder(folder):
        _log.info(f"{len(plan.photos):,} photos in {plan.painter.versions} versions, {total} shards: {folder}")
        recorded = recorded_shards(folder, plan.key)
        whole, _ = whole_shards(plan.tasks, recorded, {} if deep else recorded)
        if _is_complete(plan, whole) and not (retry_failed and any(shard.with_failures for shard in whole.values())):
            # Nothing is made, so the disk need not be writable; where it is, the lock clears what a kill has left.
            with contextlib.ExitStack() as held:
                with contextlib.suppress(RunError, OSError):
                    held.enter_context(locked(folder, "sync"))
                manifest, made, done = _ask_for(plan, whole), 0, "complete already, nothing to do"
        else:
            with locked(folder, "sync"):
                manifest, made = _complete(plan, _left_whole(plan, whole, retry_failed), jobs, cluster)
            done = f"{made} of {total} shards made now"
        _warn(manifest, plan.painter.origin)
        _log.info(f"{manifest.redrawn:,} photos redrawn ({done})")
    return manifest, made


def prepare_sync(plan: Plan) -> None:
    """Do only what the painter needs before the first photo, so that it can be looked at."""
    plan.folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as held:
        # On a disk that cannot be written all may be there already.
        with contextlib.suppress(OSError):
            held.enter_context(locked(plan.folder, "sync"))
        _prepare(plan)


def _prepare(plan: Plan) -> None:
    plan.painter.prepare(plan.folder.absolute(), plan.paths)


def _is_complete(plan: Plan, whole: Mapping[str, ShardStatus]) -> bool:
    """Whether the store says that it is finished, and all of its shards are whole."""
    try:
        return bool(read_manifest(plan.folder).finished) and len(whole) == len(plan.tasks)
    except InputError:
        return False


def _left_whole(plan: Plan, seen: dict[str, ShardStatus], retry_failed: bool) -> dict[str, ShardStatus]:
    """Under the lock, give the shards that need not be made: another sync may have been at work since they were `seen`.

    The others that are there are named.
    """
    whole, faults = whole_shards(plan.tasks, recorded_shards(plan.folder, plan.key), seen)
    for fault in faults:
        _log.warning("%s (it is made again)", fault)
    return {name: status for name, status in whole.items() if not (retry_failed and status.with_failures)}


def _complete(plan: Plan, whole: dict[str, ShardStatus], jobs: int, cluster: str | None) -> tuple[Manifest, int]:
    """Make all shards that are not whole, and write the manifest; give it, and how many were made."""
    tasks, notes = plan.tasks, Notes(plan, whole)
    missing = [task for task in tasks if task.path.name not in whole]
    _check_space(plan, missing)
    write_photos(plan.folder, plan.photos)
    notes.write()
    try:
        _prepare(plan)
        missing = _take_over(plan, missing, notes)
        # Once more, since what the painter keeps of all photos is on the disk now.
        _check_space(plan, missing)
        if missing:
            _log.info(f"{len(missing):,} shards to make take {needed_bytes(plan, missing) / 1e9:.3g} GB at most")
        notes.begin()
        faults = make_shards(missing, notes, jobs, cluster)
        # What failed may have met a passing trouble (a network disk, a worker that died): it gets a second chance.
        failed = {fault.name for fault in faults}
        faults = make_shards([task for task in missing if task.path.name in failed], notes, jobs, cluster)
    except KeyboardInterrupt:
        notes.write()
        raise Interrupted(
            f"interrupted: {len(notes)} of {len(tasks)} shards are whole; repeat the same command to go on"
        ) from None
    if faults:
        notes.write(tuple(faults))
        raise RunError(
            f"{len(faults)} of {len(tasks)} shards failed, {faults[0].name} with: {faults[0].reason}; "
            "the others are whole, repeat the same command to go on"
        )
    manifest = notes.manifest(datetime.now(timezone.utc).isoformat(timespec="seconds"))
    _check_worth(manifest, plan.painter.origin)
    write_manifest(plan.folder, manifest)
    return manifest, len(missing)


def _ask_for(plan: Plan, whole: Mapping[str, ShardStatus]) -> Manifest:
    """Note in a complete store that it was asked for, and where: training takes the last one and its labels.

    The seals that its shards have now, and what the file system says of the photos now, are noted as well.

    Raises:
        InputError: the store cannot be written, and it names another place than the one asked for.
    """
    complete, asked = read_manifest(plan.folder), Notes(plan, dict(whole)).manifest()
    moved = dataclasses.replace(
        complete,
        root=asked.root,
        list_file=asked.list_file,
        list_sha256=asked.list_sha256,
        annotation=asked.annotation,
    )
    manifest = dataclasses.replace(moved, shards=asked.shards)
    try:
        if not plan.photos.known_by(read_photos(plan.folder)):
            write_photos(plan.folder, plan.photos)
        if manifest == complete:
            os.utime(plan.folder / MANIFEST)
        else:
            write_manifest(plan.folder, manifest)
    except OSError as error:
        if moved != complete:
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


def _take_over(plan: Plan, missing: Sequence[Task], notes: Notes) -> list[Task]:
    """Copy shards whose inputs are the same from other stores of the data set, note them, and give the other tasks.

    So a change to one photo's annotation, which changes the key, leaves the work on the others.
    """
    others = [other for other in sorted(plan.stores.glob(f"{plan.benchmark.name}-*")) if other.name != plan.folder.name]
    left = []
    for task in missing:
        if task.path.exists():  # It is damaged, or tried a second time: another store may have it no better.
            left.append(task)
            continue
        made_by = describe(task) if any((other / task.path.name).is_file() for other in others) else {}
        same = (other / task.path.name for other in others if _made_of(other / task.path.name, made_by.get(INPUTS)))
        try:
            notes.took_over(copy_shard(next(same), task.path, task.key, made_by))
        except (StopIteration, InputError):
            left.append(task)
    if len(left) < len(missing):
        _log.info(f"{len(missing) - len(left)} shards are copies of other stores', made of the same photos")
    return left


def _made_of(shard: Path, inputs: str | None) -> bool:
    origin = read_origin(shard) if inputs else None
    return origin is not None and origin[1] == inputs


def needed_bytes(plan: Plan, tasks: Sequence[Task]) -> int:
    """Say how many bytes it takes to make some of a plan's shards, and what lies beside them."""
    shards = sum(shard_bytes(task.photos.sources, task.painter.versions, task.painter.size) for task in tasks)
    return _BESIDE_SHARDS + len(plan.tasks) * _BESIDE_A_SHARD + plan.photos.size + shards


def _check_space(plan: Plan, tasks: Sequence[Task]) -> None:
    if not tasks:
        return
    needed, free = needed_bytes(plan, tasks), shutil.disk_usage(plan.folder).free
    if free < needed:
        raise RunError(
            f"{plan.folder.absolute()}: the shards need {needed / 1e9:.1f} GB, but {free / 1e9:.1f} GB are free: "
            "free some space, then repeat"
        )


def _check_worth(manifest: Manifest, origin: str) -> None:
    """Refuse a store without photos, without a redrawn one, or whose pose and parsing do not belong together."""
    left_out = (*manifest.failures, *manifest.unpainted)
    if not manifest.photos:
        redrawn = " and redrawn" if manifest.unpainted else ""
        raise InputError(f"none of the {len(left_out):,} photos can be read{redrawn}; the first: {left_out[0][1]}")
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
    unpainted = manifest.unpainted
    for _, reason in (*failures[:_SHOWN], *unpainted[:_SHOWN], *lacking[:_SHOWN]):
        _log.warning(reason)
    if failures:
        _log.warning("%s photos could not be read and are left out (see %s)", f"{len(failures):,}", MANIFEST)
    if unpainted:
        _log.warning("%s photos could not be redrawn and are left out (see %s)", f"{len(unpainted):,}", MANIFEST)
    if manifest.agreement is not None and manifest.agreement < DOUBTFUL:
        doubt(disagreement(manifest.agreement, manifest.redrawn, origin), origin)
    if lacking:
        _log.warning(
            "%s photos have no annotation that can be used; their versions are copies (see %s)",
            f"{len(lacking):,}",
            MANIFEST,
        )
    if manifest.transparent:
        _log.info("%s photos have transparent pixels, which are laid on white", f"{manifest.transparent:,}")
    if alone:
        _log.warning("in %s photos no person was found; their versions are copies (see %s)", f"{alone:,}", MANIFEST)
