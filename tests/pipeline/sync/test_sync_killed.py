"""Syncs in processes of their own that are stopped in the middle, and one on a real Dask cluster."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from data.shards import SyncStore, newest_store
from pipeline.__main__ import main

REPOSITORY = Path(__file__).parents[3]
# The real command line, in shards of 2 photos.
PROGRAM = "from pipeline.sync import plan; plan.SHARD = 2; from pipeline.__main__ import main; main()"


@pytest.fixture
def options(walkers: Path, random_weights: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Sync of the miniature walkers below the current folder, in nine shards."""
    monkeypatch.setattr("pipeline.sync.plan.SHARD", 2)
    return ["sync", "--dataset", "walkers", "--weights", str(random_weights), "--device", "cpu"]


def start(*options: str) -> subprocess.Popen[str]:
    """The same command line in a process of its own."""
    command = [sys.executable, "-c", PROGRAM, *options]
    return subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def here(*options: str) -> str:
    """The same command line in this process; what it printed."""
    return CliRunner().invoke(main, [*options, "--jobs", "1"]).output


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}


def await_shards(count: int, process: subprocess.Popen[str]) -> None:
    """Wait until there are so many shards."""
    while len(shards()) < count:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


def shards() -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in Path("work/sync").rglob("shard-*.h5")}


def workers() -> list[str]:
    """Worker processes of runs in the current folder."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            here = entry.name.isdigit() and (entry / "cwd").readlink() == Path.cwd()
            if here and "LokyProcess" in (entry / "cmdline").read_text():
                found.append(entry.name)
    return found


def redone(store: SyncStore, *options: str) -> np.ndarray:
    """The groups that an uninterrupted run in this process gives."""
    for path in store.path.iterdir():
        path.unlink()
    assert "(9 of 9 shards made now)" in here(*options)
    return SyncStore(store.path).groups(range(18))


@pytest.mark.slow
def test_a_killed_run_loses_only_the_shards_in_flight(options: list[str]) -> None:
    run = start(*options, "--jobs", "1")
    await_shards(2, run)
    run.kill()
    run.communicate()
    kept = shards()
    assert 2 <= len(kept) < 9
    half_written = next(Path("work/sync").iterdir()) / ".shard-00008.h5.machine-1-0.part"
    half_written.write_bytes(b"half")
    assert f"({9 - len(kept)} of 9 shards made now)" in here(*options)
    assert {name: time for name, time in shards().items() if name in kept} == kept
    assert not half_written.exists()
    resumed = SyncStore(newest_store(Path("work/sync")))
    groups = resumed.groups(range(18)).astype(int)
    assert np.abs(redone(resumed, *options) - groups).max() <= 1


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_workers_end_with_their_run_and_sigterm_ends_it_in_one_line(options: list[str]) -> None:
    run = start(*options, "--jobs", "2")
    await_shards(1, run)
    assert len(workers()) == 2
    run.kill()
    run.communicate()
    deadline = time.monotonic() + 30
    while workers() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert workers() == []
    for path in list(Path("work/sync").rglob("shard-*.h5")):
        path.unlink()
    run = start(*options, "--jobs", "2")
    await_shards(1, run)
    run.terminate()
    _, errors = run.communicate()
    assert (run.returncode, errors.count("\n")) == (130, 1)
    assert "of 9 shards are whole; repeat the same command to go on" in errors
    assert "18 photos redrawn" in here(*options)


@contextlib.contextmanager
def dask_cluster(workers: int) -> Iterator[str]:
    """The address of a scheduler with so many worker processes, started as a user would from the shell."""
    scheduler_file = Path("scheduler.json").absolute()
    program = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", "0", "--no-dashboard"]
    member = [sys.executable, "-m", "distributed.cli.dask_worker", "--nthreads", "1", "--no-dashboard"]
    where = ["--scheduler-file", str(scheduler_file)]
    processes = [
        subprocess.Popen([*command, *where], env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for command in (program, *[member] * workers)
    ]
    try:
        while not scheduler_file.is_file() or not scheduler_file.read_text():
            assert processes[0].poll() is None
            time.sleep(0.1)
        yield json.loads(scheduler_file.read_text())["address"]
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


@pytest.mark.slow
def test_two_workers_of_a_dask_cluster_make_the_same_store(options: list[str]) -> None:
    pytest.importorskip("distributed")
    with dask_cluster(2) as address:
        result = CliRunner().invoke(main, [*options, "--cluster", address])
        assert "(9 of 9 shards made now)" in result.output
    store = SyncStore(newest_store(Path("work/sync")))
    groups = store.groups(range(18)).astype(int)
    assert np.abs(redone(store, *options) - groups).max() <= 1


def test_an_address_without_a_scheduler(options: list[str]) -> None:
    pytest.importorskip("distributed")
    result = CliRunner().invoke(main, [*options, "--cluster", "nonsense://nowhere"])
    assert result.exit_code == 2
    assert "error: CLUSTER=nonsense://nowhere: no Dask scheduler answers there" in result.output
