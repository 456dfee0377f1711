"""Commands where processes cannot work together: in a mount namespace whose /dev/shm is read-only."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from data.walkers.dataset import Recipe, write_walkers

REPOSITORY = Path(__file__).parents[3]
WITHOUT = 'mount -t tmpfs -o ro,size=4k tmpfs /dev/shm && exec "$@"'
# The real command line, in shards of 6 photos.
SYNC = "from pipeline.__main__ import main; from pipeline.sync import plan; plan.SHARD = 6; main()"
PEOPLE = Recipe(train_people=3, val_people=2, test_people=2, train_photos=2, test_photos=1, height=64, width=32)


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own that has no usable /dev/shm."""
    return subprocess.run(
        ["unshare", "-m", "sh", "-c", WITHOUT, "sh", sys.executable, *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("-m", "data", "check", "--jobs", "2"), "photos can be read"),
        (("-c", SYNC, "sync", "--painter", "recolour", "--device", "cpu", "--jobs", "2"), "(3 of 3 shards made now)"),
    ],
)
def test_one_process_does_it_all_and_says_so(tmp_path: Path, command: tuple[str, ...], said: str) -> None:
    write_walkers(tmp_path / "work/datasets/walkers", PEOPLE, jobs=1)
    done = run(tmp_path, *command, "--dataset", "walkers")
    assert done.returncode == 0, done.stderr
    assert said in done.stdout
    assert done.stderr == (
        "warning: processes cannot work together here (/dev/shm: Read-only file system), so a single one does all\n"
    )
