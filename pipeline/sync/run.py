"""The sync: every photo redrawn once, shard by shard, into a store that training reads."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cache, cached_property
from pathlib import Path

import joblib
from joblib.externals.loky.process_executor import BrokenProcessPool
from tqdm import tqdm

from data.photo import name_below
from data.runtime.allocator import keep_freed_memory
from data.runtime.errors import InputError, Interrupted, RunError
from data.runtime.files import SUFFIX
from data.shards import FORMAT, MANIFEST, Manifest, ShardStatus, read_manifest, read_status, write_manifest
from pipeline.paint.painter import Painter
from pipeline.sync.worker import Made, Task, digest_file, make_shard

SHARD = 256
"""Photos in a shard."""

_LOCK = ".lock"


@dataclass(frozen=True)
class Plan:
    """What is to be made: the photos at `sources` below `root`, redrawn by `painter`, in a folder below `work`."""

    dataset: str
    root: Path
    sources: tuple[str, ...]
    digests: tuple[str, ...]
    painter: Painter
    work: Path

    @cached_property
    def key(self) -> str:
        """Digest of all that decides a pixel."""
        decisive = {
            "format": FORMAT,
            "shard": SHARD,
            "photos": list(zip(self.sources, self.digests, strict=True)),
            "size": self.painter.size,
            "versions": self.painter.versions,
            "recipe": self.painter.recipe,
        }
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def folder(self) -> Path:
        """Where the store is or will be."""
        return self.work / f"{self.dataset}-{self.key}"

    @property
    def tasks(self) -> list[Task]:
        """One for each shard."""
        return [
            Task(
                path=self.folder.absolute() / f"shard-{start // SHARD:05d}.h5",
                root=self.root.absolute(),
                sources=self.sources[start : start + SHARD],
                digests=self.digests[start : start + SHARD],
                painter=self.painter,
                key=self.key,
            )
            for start in range(0, len(self.sources), SHARD)
        ]


@dataclass(frozen=True)
class Fault:
    """Name of a shard that could not be made, and why."""

    name: str
    reason: str


def plan(dataset: str, root: Path, photos: Sequence[Path], painter: Painter, work: Path) -> Plan:
    """Read all photos' bytes and say what is to be made of them; nothing is written."""
    sources = tuple(name_below(photo, root) for photo in photos)
    with ThreadPoolExecutor() as pool:
        read = pool.map(digest_file, photos)
        digests = tuple(tqdm(read, "checking photos", len(photos), delay=2, disable=None, unit=" photos"))
    return Plan(dataset, root, sources, digests, painter, work)


def run(job: Plan, jobs: int = 1, cluster: str | None = None) -> tuple[Manifest, int]:
    """Make what is missing of a store; give its manifest and how many shards were made just now.

    Whole shards of an earlier run stay. `jobs` processes work on this machine, or all workers of the Dask cluster whose
    scheduler is at `cluster` (they must see the same folders under the same names).

    A photo that cannot be read is left out of the store and listed in the manifest. Raises InputError if that became of
    all, or if a person was found in none; RunError if another run is at work on the folder, the disk is too small, or a
    shard failed twice.
    """
    folder, tasks = job.folder, job.tasks
    folder.mkdir(parents=True, exist_ok=True)
    with _only_run(folder):
        statuses = _whole(tasks)
        missing = [task for task in tasks if task.path.name not in statuses]
        if not missing and (folder / MANIFEST).is_file() and read_manifest(folder).finished:
            # The last one asked for is the one that training takes.
            os.utime(folder / MANIFEST)
            return read_manifest(folder), 0
        _check_space(missing)
        write_manifest(folder, _manifest(job, statuses, None))
        try:
            _prepare(job)
            faults = _make(missing, statuses, jobs, cluster)
            # What failed may have met a passing trouble (a network disk, a worker that died): it gets a second chance.
            faults = _make(
                [task for task in missing if task.path.name in {fault.name for fault in faults}],
                statuses,
                jobs,
                cluster,
            )
        except KeyboardInterrupt:
            raise Interrupted(
                f"interrupted: {len(statuses)} of {len(tasks)} shards are whole; repeat the same command to go on"
            ) from None
        if faults:
            raise RunError(
                f"{len(faults)} of {len(tasks)} shards failed, {faults[0].name} with: {faults[0].reason}; "
                "the others are whole, repeat the same command to go on"
            )
        manifest = _manifest(job, statuses, datetime.now(timezone.utc).isoformat(timespec="seconds"))
        _check_worth(manifest)
        write_manifest(folder, manifest)
    return manifest, len(missing)


def prepare(job: Plan) -> None:
    """Do only what the painter needs before the first photo, so that it can be looked at."""
    job.folder.mkdir(parents=True, exist_ok=True)
    with _only_run(job.folder):
        _prepare(job)


def _prepare(job: Plan) -> None:
    job.painter.prepare(job.folder.absolute(), [job.root.absolute() / source for source in job.sources])


def _make(tasks: Sequence[Task], statuses: dict[str, ShardStatus], jobs: int, cluster: str | None) -> list[Fault]:
    """Make shards, note the status of each whole one in `statuses`, and give those that failed."""
    if not tasks:
        return []
    faults = []
    total = sum(len(task.sources) for task in tasks)
    with (
        _workers(min(jobs, len(tasks)), cluster) as pool,
        tqdm(desc="redrawing", total=total, unit=" photos", smoothing=0, disable=None) as bar,
    ):
        began, done, busy, painting = time.monotonic(), 0, 0.0, 0.0
        try:
            parent = os.getpid() if cluster is None else None
            for outcome in pool(joblib.delayed(_attempt)(task, parent) for task in tasks):
                if isinstance(outcome, Fault):
                    faults.append(outcome)
                    continue
                statuses[outcome.status.name] = outcome.status
                made = outcome.status.photos + len(outcome.status.failures)
                bar.update(made)
                done, busy, painting = done + made, busy + outcome.seconds, painting + outcome.painting
                if bar.disable:
                    rate = done / (time.monotonic() - began)
                    left = (total - done) / rate
                    print(f"redrawn {done:,} of {total:,} photos, {rate:.1f} a second, {left:.0f} s left", flush=True)
            if done:
                rate, share = done / (time.monotonic() - began), painting / busy
                bar.write(f"{rate:.1f} photos a second; {share:.0%} of the time went into painting")
        except BrokenProcessPool as error:
            raise RunError(
                f"a worker process died, perhaps for want of memory ({len(statuses)} shards are whole): "
                "repeat the same command with fewer JOBS"
            ) from error
    return faults


def _attempt(task: Task, parent: int | None) -> Made | Fault:
    """Make a shard; what the user must see to is raised, any other error becomes a fault.

    `parent` is the process of this machine that leads the run, None for a cluster's.
    """
    if parent not in (None, os.getpid()):
        _end_with_parent()
    keep_freed_memory()
    try:
        return make_shard(task)
    except (InputError, RunError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise
        return Fault(task.path.name, f"{type(error).__name__}: {error}")


@cache
def _end_with_parent() -> None:
    """See to it that this worker ends when the process that started it does, even by kill -9.

    Otherwise it would go on with the shards it was given, beside the run that takes the dead one's place.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextlib.contextmanager
def _workers(jobs: int, cluster: str | None) -> Iterator[joblib.Parallel]:
    """Processes of this machine that share its cores, or the workers of a Dask cluster."""
    options = {"return_as": "generator_unordered", "batch_size": 1}
    if cluster is None:
        threads = max(1, (os.cpu_count() or 1) // jobs)
        with joblib.parallel_config("loky", n_jobs=jobs, inner_max_num_threads=threads):
            yield joblib.Parallel(**options)
        return
    try:
        from dask.distributed import Client
    except ImportError:
        raise InputError("CLUSTER needs Dask: pip install 'sync-person-cloud[cluster]'") from None
    try:
        client = Client(cluster, timeout=20)
    except (OSError, ValueError) as error:
        raise InputError(f"CLUSTER={cluster}: no Dask scheduler answers there ({error})") from error
    with client, joblib.parallel_config("dask", n_jobs=-1):
        yield joblib.Parallel(**options)


@contextlib.contextmanager
def _only_run(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which dies with this process, and clear what killed runs left half written."""
    with (folder / _LOCK).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RunError(f"{folder}: another sync is at work on it: wait for its end, or stop it") from None
        for leftover in folder.glob(f".*{SUFFIX}"):
            leftover.unlink(missing_ok=True)
        yield


def _whole(tasks: Sequence[Task]) -> dict[str, ShardStatus]:
    """The shards that are already there; one that is damaged, or of another sync, counts as missing."""
    statuses = {}
    for task in tasks:
        if task.path.exists():
            try:
                statuses[task.path.name] = read_status(task.path, task.key)
            except InputError as error:
                print(f"{error} (it is made again)", file=sys.stderr)
    return statuses


def _check_space(tasks: Sequence[Task]) -> None:
    if not tasks:
        return
    height, width = tasks[0].painter.size
    needed = sum(len(task.sources) for task in tasks) * (1 + tasks[0].painter.versions) * height * width * 3
    free = shutil.disk_usage(tasks[0].path.parent).free
    if free < needed:
        raise RunError(
            f"{tasks[0].path.parent}: the shards need {needed / 1e9:.1f} GB, but {free / 1e9:.1f} GB are free: "
            "free some space, then repeat"
        )


def _check_worth(manifest: Manifest) -> None:
    """Refuse a store without photos, or without a redrawn one."""
    failures = manifest.failures
    if not manifest.photos:
        raise InputError(f"none of the {len(failures):,} photos can be read; the first: {failures[0][1]}")
    if not manifest.redrawn:
        raise InputError(
            f"a person was found in none of the {manifest.photos:,} photos: see that pose and parsing belong to them"
        )


def _manifest(job: Plan, statuses: dict[str, ShardStatus], finished: str | None) -> Manifest:
    return Manifest(
        key=job.key,
        dataset=job.dataset,
        root=str(job.root.absolute()),
        versions=job.painter.versions,
        size=job.painter.size,
        shards=tuple(statuses[name] for name in sorted(statuses)),
        finished=finished,
        recipe=job.painter.recipe,
    )
