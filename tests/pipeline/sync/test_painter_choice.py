"""Who redraws: by the data set, and by the weights that are given."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from click.testing import CliRunner, Result

from data.shards import SyncStore, newest_store
from pipeline.__main__ import main
from pipeline.compose import PEOPLE_WEIGHTS
from pipeline.pise import POSE_TRANSFER, Generator, save_generator

Sync = Callable[..., Result]


def test_weights_of_the_other_kind_are_refused_at_once(command: Sync, tmp_path: Path) -> None:
    save_generator(Generator(4, POSE_TRANSFER), tmp_path / "pose.safetensors")
    result = command("--weights", str(tmp_path / "pose.safetensors"))
    assert (result.exit_code, result.output.count("\n")) == (2, 1)
    assert "pose.safetensors: weights of the pose-transfer kind" in result.output


def test_the_generator_of_other_data_sets_is_the_one_for_people(walkers: Path) -> None:
    options = ["--dataset", "prcc", "--data-root", str(walkers), "--size", "64x32", "--painter", "pise"]
    result = CliRunner().invoke(main, ["sync", *options, "--jobs", "2"])
    assert result.exit_code == 0, result.output
    store = SyncStore(newest_store(Path("work/sync")))
    recipe = store.manifest.recipe
    assert recipe["weights"] == hashlib.sha256(PEOPLE_WEIGHTS.read_bytes()).hexdigest()
    assert recipe["keep_person"]
    moved = np.stack([store.moved(row) for row in range(18)])
    assert moved[:, 0].mean() > 10
    assert moved[:, 1].mean() < 5


def test_other_data_sets_are_recoloured_without_weights(walkers: Path) -> None:
    options = ["--dataset", "prcc", "--data-root", str(walkers), "--size", "64x32"]
    result = CliRunner().invoke(main, ["sync", *options, "--jobs", "2"])
    assert result.exit_code == 0, result.output
    assert "no WEIGHTS are given" in result.output
    folder = newest_store(Path("work/sync"))
    store = SyncStore(folder)
    assert store.manifest.recipe["painter"] == "recolour"
    assert all(store.redrawn(row) for row in range(18))
    moved = np.stack([store.moved(row) for row in range(18)])
    assert moved[:, 0].mean() > 10
    assert (moved[:, 1] == 0).all(), "outside the clothes not a bit has changed"
    assert len(np.unique([store.templates(row) for row in range(18)], axis=0)) > 4
    again = CliRunner().invoke(main, ["sync", *options, "--painter", "recolour"])
    assert "complete already" in again.output
    assert "no WEIGHTS" not in again.output
    shown = CliRunner().invoke(main, ["templates", *options]).output.splitlines()
    assert Path(shown[-1].removeprefix("contact sheet: ")) == folder / "palette.png"
    assert shown[-2].startswith("rgb/train/")
    page = CliRunner().invoke(main, ["preview"])
    assert page.exit_code == 0, page.output
