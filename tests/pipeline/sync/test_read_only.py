"""Stores on disks that cannot be written."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from data.shards import newest_store
from pipeline.__main__ import main

SYNC = ("sync", "--dataset", "walkers", "--painter", "recolour", "--device", "cpu", "--jobs", "1")


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
    shown_again = CliRunner().invoke(main, ["templates", *SYNC[1:-2]])
    assert shown_again.exit_code == 0, shown_again.output
    assert f"contact sheet: {read_only}" in shown_again.output.replace("work/sync", str(read_only.parent))
    shutil.copytree(walkers, "other")
    other = CliRunner().invoke(main, [*SYNC, "--data-root", "other"])
    assert (other.exit_code, f"goes on naming {walkers.absolute()}" in other.output) == (2, True), other.output
