"""Disks that turn read-only under a sync, and a second sync beside one at work: real processes, real file systems."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.__main__ import main

REPOSITORY = Path(__file__).parents[3]
COMMAND = ("sync", "--dataset", "walkers", "--painter", "recolour", "--device", "cpu", "--size", "256x128")
# The real command line in shards of 2 photos; on a file system without locks, if asked for.
PROGRAM = """
import errno, fcntl, os
from pipeline.sync import plan
plan.SHARD = 2
def refuse(*_):
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
if not {locks}:
    fcntl.flock = refuse
from pipeline.__main__ import main
main()
"""


def start(*options: str, locks: bool = True) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(locks=locks), *COMMAND, *options],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def shards(stores: Path) -> dict[str, str]:
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in sorted(stores.rglob("shard-*.h5"))}


def leftovers(stores: Path) -> list[str]:
    return [path.name for path in stores.rglob(".*") if path.name != ".lock"]


def await_shards(stores: Path, count: int, process: subprocess.Popen[str]) -> None:
    while len(list(stores.rglob("shard-*.h5"))) < count:
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)


@pytest.fixture
def stores(walkers: Path) -> Iterator[Path]:
    """Where the stores go, on a disk in memory that knows the attribute `immutable`, which binds root as well."""
    folder = Path("work/sync").absolute()
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=True)
    yield folder
    for path in folder.iterdir():
        subprocess.run(["chattr", "-i", path], check=True)
    subprocess.run(["umount", folder], check=True)


def here() -> tuple[int, str]:
    """The same command line in this process: its exit status, and what it said."""
    done = CliRunner().invoke(main, [*COMMAND, "--jobs", "1"])
    return done.exit_code, done.output


@pytest.fixture(autouse=True)
def _shards_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.sync.plan.SHARD", 2)


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_folder_that_turns_read_only_is_one_line_and_nothing_whole_is_lost(stores: Path, jobs: str) -> None:
    sync = start("--jobs", jobs)
    await_shards(stores, 1, sync)
    [folder] = stores.iterdir()
    subprocess.run(["chattr", "+i", folder], check=True)
    kept = shards(stores)
    _, said = sync.communicate()
    assert (sync.returncode, said.count("\n")) == (1, 1), said
    assert said.startswith("error: no permission for "), said
    assert folder.name in said
    status, said = here()
    assert (status, "error: no permission for work/sync/" in said) == (1, True), said
    assert shards(stores) == kept
    subprocess.run(["chattr", "-i", folder], check=True)
    assert f"({9 - len(kept)} of 9 shards made now)" in here()[1]
    made = shards(stores)
    assert kept.items() <= made.items()
    assert leftovers(stores) == []
    for path in folder.glob("shard-*"):
        path.unlink()
    assert "(9 of 9 shards made now)" in here()[1]
    assert shards(stores) == made


@pytest.mark.slow
@pytest.mark.parametrize("locks", [True, False], ids=["locks", "no locks"])
def test_of_two_syncs_at_once_one_works_and_one_says_so(
    walkers: Path, locks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = Path("work/sync")
    assert here()[0] == 0
    made = shards(stores)
    for path in stores.rglob("shard-*"):
        path.unlink()
    at_work = start("--jobs", "1", locks=locks)
    await_shards(stores, 1, at_work)
    at_work.send_signal(signal.SIGSTOP)
    if not locks:
        monkeypatch.setattr(fcntl, "flock", _refuse)
    status, said = here()
    at_work.kill()
    at_work.communicate()
    assert (status, "another sync is at work on it: wait for its end, or stop it" in said) == (1, True), said
    kept = shards(stores)
    assert kept.items() <= made.items()
    assert f"({9 - len(kept)} of 9 shards made now)" in here()[1]
    assert shards(stores) == made
    assert leftovers(stores) == []


def _refuse(*_arguments: object) -> None:
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
