"""Stores on disks that have no locks, and on disks that cannot be written."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from data.runtime.errors import RunError
from data.shards import newest_store
from pipeline.__main__ import main
from pipeline.sync.lock import only_sync

SYNC = ("sync", "--dataset", "walkers", "--painter", "recolour", "--device", "cpu", "--jobs", "1")


@pytest.fixture(params=["ENOLCK", "ENOSYS", "EOPNOTSUPP"])
def no_locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without locks."""
    number = getattr(errno, request.param)

    def refuse(*_arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)


@pytest.mark.usefixtures("no_locks")
def test_without_locks_a_sync_goes_on_and_keeps_others_out(tmp_path: Path) -> None:
    with only_sync(tmp_path):
        with pytest.raises(RunError, match="another sync is at work on it: wait"), only_sync(tmp_path):
            pass
        assert (tmp_path / ".holder").is_file()
    with only_sync(tmp_path):
        pass
    assert not (tmp_path / ".holder").exists()


@pytest.mark.usefixtures("no_locks")
def test_without_locks_what_a_dead_process_left_is_taken_away(tmp_path: Path) -> None:
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    (tmp_path / ".holder").write_text(f"{gone.stdout.strip()} {socket.gethostname()}")
    with only_sync(tmp_path):
        assert (tmp_path / ".holder").read_text().startswith(f"{os.getpid()} ")
    (tmp_path / ".holder").write_text("7 elsewhere")
    with pytest.raises(RunError, match=r"process 7 on elsewhere\): .* remove .*holder"), only_sync(tmp_path):
        pass


@pytest.fixture
def read_only(walkers: Path) -> Iterator[Path]:
    """The folder of a complete store that nobody can write."""
    stores = Path("work/sync").absolute()
    stores.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", stores], check=True)
    try:
        assert CliRunner().invoke(main, SYNC).exit_code == 0
        subprocess.run(["mount", "-o", "remount,ro", stores], check=True)
        yield newest_store(stores)
    finally:
        subprocess.run(["umount", stores], check=True)


def test_a_complete_sync_and_a_preview_need_not_write(read_only: Path, walkers: Path) -> None:
    again = CliRunner().invoke(main, SYNC)
    assert (again.exit_code, "complete already" in again.output) == (0, True), again.output
    page = CliRunner().invoke(main, ["preview"])
    assert page.exit_code == 0, page.output
    [shown] = [Path(line.removeprefix("page: ")) for line in page.stdout.splitlines() if line.startswith("page: ")]
    assert shown.is_file()
    assert read_only not in shown.parents
    assert f"so the page goes to {shown.parent}" in page.output
    assert CliRunner().invoke(main, ["verify"]).exit_code == 0
    shutil.copytree(walkers, "other")
    other = CliRunner().invoke(main, [*SYNC, "--data-root", "other"])
    assert (other.exit_code, f"goes on naming {walkers.absolute()}" in other.output) == (2, True), other.output
