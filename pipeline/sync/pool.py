"""The pool: shards made by processes of this machine, or by the workers of a Dask cluster."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import time
from collections.abc import Iterator, Sequence

import joblib
import torch
from joblib.externals.loky.process_executor import BrokenProcessPool

from data.cluster import completed, connected
from data.runtime.allocator import keep_freed_memory
from data.runtime.errors import InputError, RunError
from data.runtime.logs import get_logger
from data.runtime.processes import usable_jobs
from data.runtime.progress import progress
from data.shards import ShardFault
from pipeline.sync.notes import Notes
from pipeline.sync.worker import Made, Task, make_shard

_log = get_logger(__name__)

# A process has memory, and perhaps a GPU, for one shard at a time, however many threads a cluster's worker has.
_ALONE = threading.Lock()

# Errors that another attempt would meet again.
_LASTING = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)


def make_shards(tasks: Sequence[Task], notes: Notes, jobs: int, cluster: str | None) -> list[ShardFault]:
    """Make shards, and show how far the work is.

    Args:
        tasks: the shards to be made.
        notes: here each shard is noted as soon as it is whole, so that an interrupt does not lose the count.
        jobs: processes on this machine.
        cluster: address of a Dask scheduler, or its file, whose workers make them instead.

    Returns:
        The shards that failed.

    Raises:
        InputError: no scheduler answers, or a worker lacks this program.
        RunError: a process died, a photo changed.
    """
    if not tasks:
        return []
    faults = []
    total = sum(len(task.photos) for task in tasks)
    began, done, busy, painting = time.monotonic(), 0, 0.0, 0.0
    with _outcomes(tasks, min(jobs, len(tasks)), cluster) as outcomes, progress("redrawing", total) as redrawing:
        try:
            for outcome in outcomes:
                if isinstance(outcome, ShardFault):
                    faults.append(outcome)
                    continue
                notes.made(outcome.status)
                photos = outcome.status.tried
                redrawing.advance(photos)
                done, busy, painting = done + photos, busy + outcome.seconds, painting + outcome.painting
        except BrokenProcessPool as error:
            raise RunError(
                f"a worker process died, perhaps for want of memory ({len(notes)} shards are whole): "
                "repeat the same command with fewer JOBS"
            ) from error
    if done:
        rate = done / (time.monotonic() - began)
        _log.info("%.1f photos a second; %.0f%% of the time went into painting", rate, 100 * painting / busy)
    return faults


def _attempt_as_worker(task: Task) -> Made | ShardFault:
    """Make a shard as a cluster's worker, alone in its process and on as many cores as the worker has threads."""
    from dask.distributed import get_worker

    with _ALONE:
        torch.set_num_threads(get_worker().state.nthreads)
        return _attempt(task)


def _attempt(task: Task) -> Made | ShardFault:
    """Make a shard; what the user must see to is raised, any other error becomes a fault."""
    keep_freed_memory()
    try:
        return make_shard(task)
    except (InputError, RunError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _LASTING:
            raise
        return ShardFault(task.path.name, f"{type(error).__name__}: {error}")


def _end_with(parent: int) -> None:
    """See to it that this worker ends when `parent`, which started it, does, even by kill -9 before the first task.

    Otherwise it would go on with the shards it was given, beside the sync that takes the dead one's place.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextlib.contextmanager
def _outcomes(tasks: Sequence[Task], jobs: int, cluster: str | None) -> Iterator[Iterator[Made | ShardFault]]:
    """What became of each task, as it is done by processes of this machine that share its cores, or by a cluster."""
    if cluster is not None:
        with connected(cluster) as client:
            yield completed(client, _attempt_as_worker, tasks, on_gpu=tasks[0].painter.device != "cpu")
        return
    options = {"return_as": "generator_unordered", "batch_size": 1}
    attempts = (joblib.delayed(_attempt)(task) for task in tasks)
    if usable_jobs(jobs) == 1:
        yield joblib.Parallel(n_jobs=1, **options)(attempts)
        return
    threads = max(1, (os.cpu_count() or 1) // jobs)
    watched = {"initializer": _end_with, "initargs": (os.getpid(),)}
    with joblib.parallel_config("loky", n_jobs=jobs, inner_max_num_threads=threads, **watched):
        yield joblib.Parallel(**options)(attempts)
