"""Cells: trainings with their evaluations, in processes of their own; what is finished is not run again."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

import joblib
import torch

from data.cluster import connected
from data.runtime.places import RUNS
from trainer.ranking.results import Result, read_results
from trainer.runs import Run

_CODE = Path(__file__).parents[2]
_POLL = 0.2
"""Seconds between looks at whether a running cell is to be stopped."""
_THREADS = "1"
"""Threads of a training on a CPU: many small trainings side by side are faster so, and however many there are at a
time, their numbers are the same."""


@dataclass(frozen=True)
class Cell:
    """A training and its evaluation.

    Attributes:
        name: of the run, made from all that decides its numbers.
        train: words of the command that trains it.
        evaluate: words of the command that ranks with it.
    """

    name: str
    train: tuple[str, ...]
    evaluate: tuple[str, ...]

    @property
    def run(self) -> Run:
        """Give its run, which may not be there yet."""
        return Run(RUNS / self.name)


@dataclass(frozen=True)
class Outcome:
    """What became of a cell in so many seconds; `failure` is the last line of a command that failed, else empty."""

    name: str
    seconds: float
    failure: str = ""


def read_cell(cell: Cell, split: str) -> tuple[Result, ...]:
    """Read a finished cell's results for these people ("test" or "validation"); () where it is not finished."""
    run = cell.run
    path = run.folder / "results.json"
    if not run.finished or not path.exists():
        return ()
    wanted = {
        "benchmark": run.facts["dataset"],
        "split": split,
        "rerank": False,
        "flip": False,
        "drawn_by": None,
        "checkpoint": "last",
        "epoch": run.config.epochs,
    }
    place = run.place.absolute()
    asked = [
        result
        for result in read_results(path)
        if wanted.items() <= asdict(result.protocol).items()
        and place == Path(result.protocol.list_file or result.protocol.root or "")
    ]
    # Of several measurements of a protocol, such as of an encoder that was there before, the newest stands last.
    return tuple({str(result.protocol): result for result in asked}.values())


def run_cells(
    cells: Sequence[Cell], device: str, jobs: int | None, cluster: str | None, done: Callable[[Outcome], None]
) -> None:
    """Run cells, and say of each what became of it, in the order in which they end.

    Args:
        cells: they write into the current folder, which the workers of a cluster must see under the same name.
        device: the one asked for, "" for a GPU if there is one.
        jobs: how many run side by side; by default one a GPU, or without one as many as there are cores.
        cluster: address of a Dask scheduler whose workers run them instead.
        done: is called in this thread.

    Raises:
        InputError: no scheduler answers.
    """
    study = Path.cwd()
    if cluster:
        _run_on_cluster(cells, study, device, cluster, done)
        return
    places = environments(device, jobs, torch.cuda.device_count())
    free: queue.SimpleQueue[Mapping[str, str]] = queue.SimpleQueue()
    for place in places:
        free.put(place)
    stop = threading.Event()

    def run(cell: Cell) -> Outcome:
        place = free.get()
        try:
            return run_cell(cell, study, place, stop)
        finally:
            free.put(place)

    with ThreadPoolExecutor(len(places)) as pool:
        futures = [pool.submit(run, cell) for cell in cells]
        try:
            for future in as_completed(futures):
                done(future.result())
        except BaseException:
            stop.set()
            for future in futures:
                future.cancel()
            raise


def environments(device: str, jobs: int | None, gpus: int) -> list[dict[str, str]]:
    """Give what the environment of each of the cells that run side by side has of its own.

    Args:
        device: the one asked for, "" for a GPU if there is one.
        jobs: how many run side by side, if that was said.
        gpus: how many this machine shows.
    """
    if device == "cpu" or not gpus:
        threads = os.environ.get("OMP_NUM_THREADS", _THREADS)
        return [{"OMP_NUM_THREADS": threads, "NUMBA_NUM_THREADS": threads}] * (jobs or joblib.cpu_count())
    if device not in ("", "cuda"):
        return [{}] * (jobs or 1)
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(gpus)))).split(",")
    return [{"CUDA_VISIBLE_DEVICES": visible[number % gpus]} for number in range(jobs or gpus)]


def run_cell(cell: Cell, study: Path, place: Mapping[str, str], stop: threading.Event | None = None) -> Outcome:
    """Train and evaluate, by the ordinary commands.

    Args:
        cell: what is run.
        study: the folder it writes into.
        place: what its environment has of its own.
        stop: is set when it is to end early; it then saves what it has.
    """
    # An environment of the workers of a cluster may know this code by another way.
    paths = os.pathsep.join(filter(None, (str(_CODE), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, **place, "PYTHONPATH": paths}
    began = time.monotonic()
    for words in (cell.train, cell.evaluate):
        failure = _run(words, study, environment, stop)
        if failure:
            break
    seconds = time.monotonic() - began
    run = Run(study / RUNS / cell.name)
    if (run.folder / "run.json").exists():
        run.note(seconds=round(run.facts.get("seconds", 0.0) + seconds, 1))
    return Outcome(cell.name, seconds, failure)


def _run(words: Sequence[str], study: Path, environment: Mapping[str, str], stop: threading.Event | None) -> str:
    """Run a command of the trainer to its end; give the last line it said if it failed, else nothing."""
    command = [sys.executable, "-m", "trainer", *words]
    # In a session of its own a Ctrl-C is not for it: whoever runs the table passes it on.
    with subprocess.Popen(
        command,
        cwd=study,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        stopped = False
        while True:
            try:
                said, _ = process.communicate(timeout=_POLL)
                break
            except subprocess.TimeoutExpired:
                if stop and stop.is_set() and not stopped:
                    process.terminate()
                    stopped = True
    if process.returncode == 0:
        return ""
    return next((line for line in reversed(said.splitlines()) if line.strip()), f"exit status {process.returncode}")


def _run_on_cluster(
    cells: Sequence[Cell], study: Path, device: str, cluster: str, done: Callable[[Outcome], None]
) -> None:
    with connected(cluster) as client:
        from dask.distributed import as_completed

        futures = [client.submit(_run_as_worker, cell, study, device, pure=False) for cell in cells]
        for future in as_completed(futures):
            done(future.result())


def _run_as_worker(cell: Cell, study: Path, device: str) -> Outcome:
    """Run a cell as a cluster's worker, on the first GPU that it sees, or on a CPU in as many threads as anywhere."""
    return run_cell(cell, study, environments(device, 1, torch.cuda.device_count())[0])
