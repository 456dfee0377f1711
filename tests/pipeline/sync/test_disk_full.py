"""Syncs on a disk that is too small, a real one in memory, with one process and with two."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.__main__ import main

REPOSITORY = Path(__file__).parents[3]
SHARDS = 18 * 5 * 64 * 32 * 3
"""Bytes of all pictures."""
# The real command line, in shards of 6 photos, on a disk that says it is large.
PROGRAM = """
import shutil
from pipeline.sync import plan, run
plan.SHARD = 6
if {blind}:
    shutil.disk_usage = lambda path: shutil._ntuple_diskusage(1 << 40, 0, 1 << 40)
from pipeline.__main__ import main
main()
"""


COMMAND = ("sync", "--dataset", "walkers", "--painter", "recolour", "--device", "cpu")


@pytest.fixture
def small_disk(walkers: Path) -> Iterator[Path]:
    """Where the stores go, on a disk that has room for two of their three shards."""
    folder = Path("work/sync").absolute()
    folder.mkdir(parents=True)
    mount(folder, SHARDS * 2 // 3 + 100_000)
    yield folder
    subprocess.run(["umount", folder], check=True)


def mount(folder: Path, size: int) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)


def sync(*options: str, blind: bool) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(blind=blind), *COMMAND, *options],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_disk_that_fills_up_is_one_line(small_disk: Path, jobs: str) -> None:
    done = sync("--jobs", jobs, blind=True)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert "error: the disk is full" in done.stderr
    assert str(small_disk) in done.stderr
    subprocess.run(["mount", "-o", "remount,size=4m", small_disk], check=True)
    again = sync("--jobs", jobs, blind=False)
    assert again.returncode == 0, again.stderr
    assert "18 photos redrawn" in again.stdout
    assert not list(small_disk.rglob("*.part"))


def test_what_passes_the_check_of_the_disk_fits(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.sync.plan.SHARD", 6)
    refused = 0
    for size in range(SHARDS, SHARDS + 800_000, 20_480):
        subprocess.run(["mount", "-o", f"remount,size={size}", small_disk], check=True)
        done = CliRunner().invoke(main, [*COMMAND, "--jobs", "1"])
        if done.exit_code == 0:
            break
        assert "are free: free some space" in done.output
        refused += 1
    assert "(3 of 3 shards made now)" in done.output
    assert refused > 0
