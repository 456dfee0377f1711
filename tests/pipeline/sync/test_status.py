"""What became of each photo, what is tried again, and what a sync would do."""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import data
from data.annotation import FOLDER
from data.photo import Photo
from data.runtime.errors import InputError
from data.shards import SyncStore, newest_store, read_manifest
from pipeline.__main__ import main
from pipeline.sync import pool, worker
from pipeline.sync.forecast import Forecast
from pipeline.sync.worker import Made, Task

STORES = Path("work/sync")
OPTIONS = ("--dataset", "walkers", "--painter", "recolour", "--device", "cpu", "--jobs", "1")


@pytest.fixture(autouse=True)
def _shards_of_six(walkers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.sync.plan.SHARD", 6)


def run(*words: str) -> Result:
    return CliRunner().invoke(main, words)


def names(walkers: Path) -> list[str]:
    return [record.path.relative_to(walkers).as_posix() for record in data.open_benchmark("walkers", walkers).train]


def states(*words: str) -> tuple[str, list[dict[str, str]]]:
    """What `status` says, and the rows of its file."""
    done = run("status", *words, "--output", "states.csv")
    assert done.exit_code == 0, done.output
    with Path("states.csv").open(encoding="utf-8", newline="") as file:
        return done.output, list(csv.DictReader(file))


def test_each_photo_and_version_has_a_state_and_a_reason(walkers: Path) -> None:
    listed = names(walkers)
    empty, bare, *_ = listed
    (walkers / empty).write_bytes(b"")
    (walkers / FOLDER / f"{bare}.json").unlink()
    assert run("sync", *OPTIONS).exit_code == 0
    said, rows = states()
    assert [row["path"] for row in rows] == [name for name in listed for _ in range(4)]
    assert Counter(row["state"] for row in rows) == {"unreadable": 4, "annotation missing": 4, "done": 64}
    store = SyncStore(newest_store(STORES))
    for row in rows[8:]:
        number = listed.index(row["path"]) - 1
        assert (row["state"], row["reason"]) == ("done", "")
        assert int(row["template"]) == store.templates(number)[int(row["version"]) - 1]
    assert [row["template"] for row in rows[:4]] == [""] * 4
    assert "the file is empty" in rows[0]["reason"]
    assert "no annotation" in rows[4]["reason"]
    assert f"{store.path}: finished " in said
    assert f"unreadable: {rows[0]['reason']}" in said


def test_a_store_that_is_not_finished_says_what_failed_and_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(task: Task) -> Made:
        if task.path.name in failing:
            raise failing[task.path.name]
        return worker.make_shard(task)

    monkeypatch.setattr(pool, "make_shard", make)
    failing: dict[str, BaseException] = {"shard-00001.h5": KeyboardInterrupt()}
    assert run("status").exit_code == 2
    assert run("sync", *OPTIONS).exit_code == 130
    said, rows = states()
    assert "unfinished" in said
    assert [row["state"] for row in rows] == ["done"] * 24 + ["not made yet"] * 48
    failing["shard-00001.h5"] = ValueError("nothing fits")
    failed = run("sync", *OPTIONS)
    assert (failed.exit_code, "1 of 3 shards failed, shard-00001.h5 with: ValueError" in failed.output) == (1, True)
    said, rows = states()
    assert [row["state"] for row in rows] == ["done"] * 24 + ["failed"] * 24 + ["done"] * 24
    assert {row["reason"] for row in rows[24:48]} == {"ValueError: nothing fits"}
    assert f"failed: {rows[24]['path']}: ValueError: nothing fits" in said


def test_photos_that_could_not_be_read_are_tried_again_when_asked_for(
    walkers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network disk that fails once, say."""
    unlucky, reading = walkers.absolute() / names(walkers)[7], Photo.read

    def read(path: Path, root: Path) -> Photo:
        if path == unlucky:
            raise InputError(f"{path}: the picture cannot be read (Input/output error); copy it again or remove it")
        return reading(path, root)

    with monkeypatch.context() as failing:
        failing.setattr(Photo, "read", staticmethod(read))
        assert "17 photos redrawn (3 of 3 shards made now)" in run("sync", *OPTIONS).output
    folder = newest_store(STORES)
    before = {path.name: path.stat().st_ino for path in folder.glob("shard-*")}
    assert "complete already" in run("sync", *OPTIONS).output
    shutil.copytree(folder, folder.with_name("walkers-copied"))  # Whence nothing is taken over.
    foreseen = run("sync", *OPTIONS, "--retry-failed", "--dry-run").output
    assert "to make: 1 shards, 6 photos" in foreseen
    again = run("sync", *OPTIONS, "--retry-failed")
    assert "18 photos redrawn (1 of 3 shards made now)" in again.output
    after = {path.name: path.stat().st_ino for path in folder.glob("shard-*")}
    assert {name for name in after if after[name] != before[name]} == {"shard-00001.h5"}
    assert "complete already" in run("sync", *OPTIONS, "--retry-failed").output
    assert {row["state"] for row in states()[1]} == {"done"}


def test_a_dry_run_says_what_is_to_come_and_writes_nothing() -> None:
    first = run("sync", *OPTIONS, "--dry-run")
    assert first.exit_code == 0, first.output
    assert "to make: 3 shards, 18 photos" in first.output
    assert "to wait: not known" in first.output
    assert not STORES.exists()
    run("sync", *OPTIONS)
    folder = newest_store(STORES)
    assert run("sync", *OPTIONS, "--dry-run").output.endswith("complete already, nothing to do\n")
    rate = read_manifest(folder).photos_per_second
    assert rate
    (folder / "shard-00000.h5").unlink()
    (folder / "shard-00002.h5").write_bytes(b"torn")
    there = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    second = run("sync", *OPTIONS, "--dry-run").output
    assert "shard-00002.h5: this shard is damaged" in second
    assert "to make: 2 shards, 12 photos" in second
    assert f"at {rate:.1f} photos a second" in second
    other = run("sync", *OPTIONS, "--dry-run", "--seed", "1").output
    assert "to make: 3 shards, 18 photos" in other
    assert f"at {rate:.1f} photos a second" in other
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == there
    assert [path.name for path in STORES.iterdir()] == [folder.name]


def test_a_forecast_in_words() -> None:
    days = Forecast(Path("store"), 1_000_000, 4, 3907, (), 3900, 998_400, 630_000_000_000, 10**12, 2.0)
    assert str(days).splitlines()[1:] == [
        "to make: 3,900 shards, 998,400 photos; those that other stores have are copied",
        "to write: at most 630.0 GB; 1000.0 GB are free",
        "to wait: 5 days, 18:40:00 at 2.0 photos a second, as the last time",
    ]
