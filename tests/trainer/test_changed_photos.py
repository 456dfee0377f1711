"""Training says which photos are no longer those that were redrawn, and refuses a folder of others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from data import open_benchmark
from data.shards import newest_store, read_manifest, record_photos, write_photos
from trainer.__main__ import main

MakeStore = Callable[..., Any]
Train = Callable[[], Result]


@pytest.fixture
def root(make_store: MakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a data set that was just redrawn, below the current folder."""
    monkeypatch.chdir(tmp_path)
    make_store()
    store = newest_store(Path("work/sync"))
    root = Path(read_manifest(store).root)
    benchmark = open_benchmark("walkers", root)
    write_photos(store, record_photos([photo.path for photo in benchmark.train], root))
    return root


@pytest.fixture
def train(root: Path, tiny_arguments: list[str]) -> Train:
    return lambda: CliRunner().invoke(main, ["train", *tiny_arguments, "--epochs", "1", "--device", "cpu"])


def photos(root: Path) -> list[Path]:
    return [photo.path for photo in open_benchmark("walkers", root).train]


def test_nothing_is_said_where_nothing_changed(train: Train) -> None:
    done = train()
    assert (done.exit_code, "since the sync" in done.output) == (0, False), done.output


def test_changed_gone_and_new_photos_are_one_line_and_training_goes_on(root: Path, train: Train) -> None:
    changed, gone, *_, last = photos(root)
    changed.write_bytes(changed.read_bytes() + b"0")
    gone.unlink()
    new = last.with_name("C_99.jpg")
    new.write_bytes(last.read_bytes())
    done = train()
    assert done.exit_code == 0, done.output
    [line] = [line for line in done.output.splitlines() if "since the sync" in line]
    assert line == (
        f"warning: {root}: photos since the sync: 1 changed ({changed.relative_to(root)}), 1 gone "
        f"({gone.relative_to(root)}), 1 new ({new.relative_to(root)}); training takes them as they were redrawn"
    )
    [log] = Path("work/runs").rglob("run.log")
    assert line.removeprefix("warning: ") in log.read_text()


def test_no_label_is_read_in_a_folder_of_other_photos(root: Path, train: Train) -> None:
    there = photos(root)
    for photo in there[: len(there) // 2]:
        photo.write_bytes(photo.read_bytes() + b"0")
    done = train()
    assert done.exit_code == 0, done.output
    assert f"warning: {root}: {len(there) // 2} of {len(there)} photos are not those that were redrawn" in done.output
    assert "ARI" not in done.output


def test_a_folder_that_is_away_is_no_hindrance(root: Path, train: Train) -> None:
    root.rename(root.with_name("away"))
    done = train()
    assert (done.exit_code, "no labels to report" in done.output) == (0, True), done.output
