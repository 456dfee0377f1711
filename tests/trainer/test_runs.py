from __future__ import annotations

import dataclasses
import errno
import json
import os
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from data.runtime.errors import InputError
from data.shards import SyncStore
from trainer import runs
from trainer.config import Config

CPU = torch.device("cpu")


@pytest.fixture
def run(store: SyncStore, tiny: Callable[..., Config], tmp_path: Path) -> runs.Run:
    return runs.start(tmp_path / "work" / "runs" / "one", tiny(), store.path, store.manifest, CPU)


def test_a_run_says_what_made_it(run: runs.Run, store: SyncStore, tiny: Callable[..., Config]) -> None:
    facts = run.facts
    assert facts["digest"] == tiny().digest
    assert facts["packages"]["torch"] == torch.__version__.split("+")[0]
    assert facts["command"].startswith("python -m trainer")
    assert facts["device"].startswith("CPU")
    assert (facts["dataset"], facts["key"]) == ("walkers", store.manifest.key)
    assert {"commit", "started", "finished", "python", "root"} <= facts.keys()
    assert run.config == tiny()
    assert run.sync == store.path


def test_other_settings_or_shards_are_refused(run: runs.Run, store: SyncStore, tiny: Callable[..., Config]) -> None:
    run.save({"epoch": 1}, 1, 0)
    assert runs.start(run.folder, tiny(), store.path, store.manifest, CPU) == run
    with pytest.raises(InputError, match=r"run one was started with eps 0\.6, not 0\.5"):
        runs.start(run.folder, tiny(eps=0.5), store.path, store.manifest, CPU)
    with pytest.raises(InputError, match="was started on the shards"):
        runs.start(run.folder, tiny(), store.path, dataclasses.replace(store.manifest, key="other"), CPU)


def test_shards_in_which_photos_have_other_numbers_are_refused(
    run: runs.Run, store: SyncStore, tiny: Callable[..., Config]
) -> None:
    """As after a sync that tried a photo again which had failed."""
    run.save({"epoch": 1}, 1, 0)
    first, *others = store.manifest.shards
    more = dataclasses.replace(first, photos=first.photos + 1)
    manifest = dataclasses.replace(store.manifest, shards=(more, *others))
    count = store.manifest.photos
    with pytest.raises(InputError, match=f"was started on {count} photos of the shards, which have {count + 1} now"):
        runs.start(run.folder, tiny(), store.path, manifest, CPU)
    facts = {name: fact for name, fact in run.facts.items() if name != "photos"}
    (run.folder / "run.json").write_text(json.dumps(facts))
    assert runs.start(run.folder, tiny(), store.path, manifest, CPU).facts["photos"] == count + 1, "an older run"


def test_a_run_without_a_checkpoint_is_started_anew(
    run: runs.Run, store: SyncStore, tiny: Callable[..., Config]
) -> None:
    started = run.facts["started"]
    run.note(started="long ago")
    other = dataclasses.replace(store.manifest, key="other")
    assert runs.start(run.folder, tiny(eps=0.5), store.path / "other", other, CPU) == run
    assert (run.config, run.sync, run.facts["key"]) == (tiny(eps=0.5), store.path / "other", "other")
    assert run.facts["started"] >= started


def test_damaged_checkpoints_do_not_outlive_new_ones(run: runs.Run) -> None:
    for epoch in (23, 24):
        run.save({"epoch": epoch}, epoch, 0).write_bytes(b"damaged")
    for epoch in (1, 2, 3):
        path = run.save({"epoch": epoch}, epoch, 0)
        assert run.checkpoints()[0] == path
    assert len(run.checkpoints()) == 2


def test_what_is_no_checkpoint_is_said_to_be_damaged(run: runs.Run) -> None:
    contents: list[Any] = [{"state_dict": {}}, torch.ones(2), {"epoch": Path("x")}]
    for content in contents:
        path = run.folder / "checkpoint-00001-0000000.pt"
        torch.save(content, path)
        with pytest.raises(InputError, match=r"checkpoint-00001-0000000\.pt is damaged"):
            runs.read_checkpoint(path)


def test_the_last_two_checkpoints_are_kept(run: runs.Run) -> None:
    for epoch, iteration in ((0, 3), (1, 0), (9, 0), (10, 2)):
        run.save({"epoch": epoch, "weights": torch.ones(3)}, epoch, iteration)
    assert [path.name for path in run.checkpoints()] == ["checkpoint-00010-0000002.pt", "checkpoint-00009-0000000.pt"]
    content, damaged = run.load()
    assert content is not None
    assert content["epoch"] == 10
    assert damaged == []


@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_damage_is_found_and_the_one_before_taken(run: runs.Run, damage: str) -> None:
    run.save({"epoch": 1, "weights": torch.arange(5000.0)}, 1, 0)
    newest = run.save({"epoch": 2, "weights": torch.arange(5000.0)}, 2, 0)
    data = bytearray(newest.read_bytes())
    if damage == "flip":
        with zipfile.ZipFile(newest) as archive:
            place = max(archive.infolist(), key=lambda entry: entry.file_size).header_offset + 9000
        data[place] ^= 1
    newest.write_bytes(data[: {"cut": len(data) // 2, "flip": len(data), "empty": 0}[damage]])
    content, damaged = run.load()
    assert content is not None
    assert content["epoch"] == 1
    assert len(damaged) == 1
    assert newest.name in damaged[0]


def test_a_write_that_fails_leaves_the_old_file(run: runs.Run) -> None:
    run.save_best({"epoch": 1})
    with pytest.raises(Exception, match="pickle"):
        run.save_best({"epoch": 2, "bad": lambda: None})
    assert runs.read_checkpoint(run.folder / "best.pt")["epoch"] == 1
    assert not list(run.folder.glob(".*"))


def test_the_last_run_is_the_one_touched_last(run: runs.Run, store: SyncStore, tiny: Callable[..., Config]) -> None:
    folder = run.folder.parent
    other = runs.start(folder / "two", tiny(seed=2), store.path, store.manifest, CPU)
    runs.start(folder / "empty", tiny(seed=3), store.path, store.manifest, CPU)
    run.save({"epoch": 1}, 1, 0)
    other.save_best({"epoch": 1})
    os.utime(run.folder / "run.json", (1, 1))
    assert runs.last_run(folder) == other
    os.utime(other.folder / "run.json", (0, 0))
    assert runs.last_run(folder) == run
    assert runs.find_run("two", folder) == other
    with pytest.raises(InputError, match="there: empty, one, two"):
        runs.find_run("three", folder)


def test_no_run_yet(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="train one first"):
        runs.last_run(tmp_path)


def test_a_run_without_a_checkpoint_is_not_the_last_one(run: runs.Run) -> None:
    with pytest.raises(InputError, match="there is no run with a checkpoint in"):
        runs.last_run(run.folder.parent)


def test_finish(run: runs.Run) -> None:
    assert run.facts["finished"] is None
    runs.finish(run)
    assert json.loads((run.folder / "run.json").read_text())["finished"] is not None


def test_a_disk_that_fills_up_is_said_by_the_system_and_what_was_there_stays(tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path], check=True)
    try:
        run = runs.Run(tmp_path)
        run.save({"weights": torch.zeros(100)}, 1, 0)
        with pytest.raises(OSError, match="No space left") as caught:
            run.save({"weights": torch.zeros(1 << 20)}, 2, 0)
        assert caught.value.errno == errno.ENOSPC
        assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-00001-0000000.pt"]
    finally:
        subprocess.run(["umount", tmp_path], check=True)
