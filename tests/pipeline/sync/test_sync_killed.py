"""Syncs in processes of their own that are stopped in the middle."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
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


def await_no_workers() -> None:
    """Wait until the workers of a dead run are gone."""
    deadline = time.monotonic() + 60
    while workers() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert workers() == []


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
@pytest.mark.parametrize("wait", [0.0, 0.5, 1.5])
def test_workers_that_have_no_work_yet_end_with_their_run_too(options: list[str], wait: float) -> None:
    run = start(*options, "--jobs", "2")
    while not workers():
        assert run.poll() is None, run.communicate()
        time.sleep(0.01)
    time.sleep(wait)
    run.kill()
    run.wait()
    await_no_workers()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_workers_end_with_their_run_and_sigterm_ends_it_in_one_line(options: list[str]) -> None:
    run = start(*options, "--jobs", "2")
    await_shards(1, run)
    assert len(workers()) == 2
    run.kill()
    run.wait()
    await_no_workers()
    for path in list(Path("work/sync").rglob("shard-*.h5")):
        path.unlink()
    run = start(*options, "--jobs", "2")
    await_shards(1, run)
    run.terminate()
    _, errors = run.communicate()
    assert (run.returncode, errors.count("\n")) == (130, 1)
    assert "of 9 shards are whole; repeat the same command to go on" in errors
    assert "18 photos redrawn" in here(*options)
