"""A Dask cluster: workers on other machines that see the same folders, and tasks that they do as they come and go."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from data.runtime.errors import InputError, RunError
from data.runtime.logs import get_logger

if TYPE_CHECKING:
    from dask.distributed import Client

_PATIENCE = 20
"""Seconds in which a scheduler must answer, or write its file."""
_POLL = 0.1
_GPU = "GPU"
"""The resource that workers with a GPU declare, by Dask's own convention: `dask worker --resources GPU=1`."""

_AHEAD = 256
"""Items that the scheduler knows of at a time: so many that a growing cluster sees what waits, and no millions."""

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

_log = get_logger(__name__)


@contextmanager
def connected(cluster: str) -> Iterator[Client]:
    """Give a client of a cluster for the time of the block, and say where its dashboard is.

    Args:
        cluster: the address of its scheduler, as in tcp://host:8786, or the file that `dask scheduler` and `dask
            worker` were given as --scheduler-file.

    Raises:
        InputError: Dask is not installed, there is no such file, or no scheduler answers.
    """
    try:
        from dask.distributed import Client
    except ImportError:
        raise InputError("CLUSTER needs Dask: pip install 'sync-person-cloud[cluster]'") from None
    address = _address(cluster)
    try:
        client = Client(address, timeout=_PATIENCE)
    except (OSError, ValueError) as error:
        raise InputError(f"CLUSTER={cluster}: no Dask scheduler answers there ({error})") from error
    with client:
        _log.info(_describe(client))
        yield client


def completed(
    client: Client, work: Callable[[Item], Outcome], items: Sequence[Item], on_gpu: bool = False
) -> Iterator[Outcome]:
    """Have `work` done on each item by a cluster's workers, and yield what it gives, in the order of completion.

    Workers may come and go. What a worker that died was doing is done by another one; an item over which four have died
    is given up.

    Args:
        client: of the cluster.
        work: a function at the top of a module that the workers can import.
        items: what can be pickled.
        on_gpu: an item takes a worker's GPU as a whole, where workers that are there at the start declare that they
            have one (`--resources GPU=1`); then no other worker is given any.

    Raises:
        InputError: the scheduler or a worker cannot import the function.
        RunError: too many workers died, or the scheduler is gone.
        Exception: whatever `work` raises.
    """
    from dask.distributed import CancelledError, KilledWorker, as_completed

    workers = _workers(client)
    if not workers:
        _log.info("the cluster has no worker yet: waiting for the first one")
    asked = {_GPU: 1} if on_gpu and any(_GPU in worker["resources"] for worker in workers) else None
    waiting = (client.submit(work, item, pure=False, resources=asked) for item in items)
    running = as_completed(islice(waiting, _AHEAD))
    try:
        for future in running:
            yield future.result()
            running.update(islice(waiting, 1))
    except (ImportError, RuntimeError) as error:
        reason = error if isinstance(error, ImportError) else error.__cause__  # A scheduler's is wrapped.
        if not isinstance(reason, ImportError):
            raise
        raise InputError(f"the cluster cannot load this program ({reason}): install it on every machine") from error
    except KilledWorker as error:
        raise RunError(
            f"workers of the cluster died {error.allowed_failures + 1} times over the same work, perhaps for want of "
            "memory: repeat the same command with workers that have more"
        ) from error
    except CancelledError as error:
        raise RunError("the cluster's scheduler is gone: start it anew, then repeat the same command") from error


def _address(cluster: str) -> str:
    """The address of a scheduler, out of its file where that is what was given; a scheduler that starts may lack it."""
    path = Path(cluster)
    if "://" in cluster or (path.suffix != ".json" and not path.exists()):
        return cluster
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return str(json.loads(path.read_text(encoding="utf-8"))["address"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            if time.monotonic() > deadline:
                raise InputError(
                    f"CLUSTER={cluster}: is no scheduler's file ({error}): give that of dask scheduler --scheduler-file"
                ) from None
        time.sleep(_POLL)


def _describe(client: Client) -> str:
    """A line on a cluster: its workers and cores now, and where it can be watched."""
    workers = _workers(client)
    cores = sum(worker["nthreads"] for worker in workers)
    try:
        watched = f"dashboard: {client.dashboard_link}"
    except KeyError:
        watched = "no dashboard"
    return f"cluster {client.scheduler.address}: {len(workers)} workers with {cores} cores; {watched}"


def _workers(client: Client) -> list[dict[str, Any]]:
    return list(client.scheduler_info(n_workers=-1)["workers"].values())
