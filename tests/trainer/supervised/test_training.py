"""Trainings of the supervised methods: what they learn, how they go on, and what they ask of a data set."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from data import open_benchmark
from data.annotation import FOLDER, Annotation, Joint, write_annotation
from data.benchmark import Benchmark
from data.lock import locked
from data.record import ImageRecord
from data.runtime.errors import InputError, Interrupted, RunError
from data.shards import SyncStore
from trainer import Encoder, runs
from trainer.__main__ import main
from trainer.baselines import METHODS, BaselineConfig, make_baseline
from trainer.config import Config
from trainer.supervised.choice import choose
from trainer.supervised.labels import labelled_photos
from trainer.supervised.training import BaselineTraining, learning_rate, train_baseline

CPU = torch.device("cpu")
TINY = {
    "height": 32,
    "width": 16,
    "batch_people": 3,
    "batch_photos": 2,
    "epochs": 3,
    "iterations": 3,
    "precision": "float32",
}


def quick(method: str = "twin", **settings: Any) -> BaselineConfig:
    """Give settings that train on the tiny photos in a second."""
    return make_baseline(method, "walkers", {**(TINY if not method.startswith("lomo") else {}), **settings})


@pytest.fixture
def benchmark(make_store: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Benchmark:
    """Six striped people in six photos each, with pose and parsing; the current folder is beside theirs."""
    make_store()
    root = tmp_path / "dataset"
    parsing = np.zeros((32, 16), np.uint8)
    parsing[4:10], parsing[10:20], parsing[20:28] = 7, 3, 5
    joints = np.stack([np.linspace(2, 14, len(Joint)), np.linspace(4, 28, len(Joint))], axis=1).astype(np.float32)
    benchmark = open_benchmark("walkers", root)
    for record in benchmark.train:
        write_annotation(root, record.path, Annotation(joints, parsing))
    monkeypatch.chdir(tmp_path)
    return benchmark


def trained(config: BaselineConfig, benchmark: Benchmark, name: str) -> dict[str, Any]:
    train_baseline(config, benchmark, name, CPU, 0)
    content, _ = runs.find_run(name).load()
    assert content is not None
    return content


def assert_same(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    for part in ("encoder", "objective"):
        assert ours[part].keys() == theirs[part].keys()
        assert all(torch.equal(ours[part][key], theirs[part][key]) for key in ours[part])


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_evaluates_and_embeds(method: str, benchmark: Benchmark) -> None:
    content = trained(quick(method), benchmark, "one")
    assert content["epoch"] == (1 if method.startswith("lomo") else 3)
    run = runs.find_run("one")
    assert run.finished
    result = CliRunner().invoke(main, ["eval", "--run", "one", "--device", "cpu"])
    assert result.exit_code == 0, result.output
    assert {row["metric"] for row in json.loads((run.folder / "results.json").read_text())} >= {"R1", "mAP"}
    features = Encoder.load("one", device="cpu").embed([record.path for record in benchmark.train[:5]])
    assert features.shape[0] == 5
    assert np.allclose(np.linalg.norm(features, axis=1), 1, atol=1e-5)
    assert len(np.unique(features, axis=0)) == 5


@pytest.mark.parametrize("method", ["twin", "pcb", "mgn", "sgps", "cesd", "fsam", "cal"])
def test_losses_fall(method: str, benchmark: Benchmark) -> None:
    trained(quick(method, epochs=4, iterations=12), benchmark, "one")
    lines = Path("work/runs/one/metrics.jsonl").read_text().splitlines()
    losses = [json.loads(line)["identity"] for line in lines]
    assert losses[-1] < 0.85 * losses[0]


@pytest.mark.parametrize("method", ["twin", "sgps", "cesd", "fsam"])
def test_two_epochs_and_one_more_are_three(method: str, benchmark: Benchmark, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = trained(quick(method), benchmark, "whole")
    step = BaselineTraining.step

    def interrupted(training: BaselineTraining, *batch: Any) -> dict[str, float]:
        if (training.epoch, training.iteration) == (1, 1):
            os.kill(os.getpid(), signal.SIGTERM)
        return step(training, *batch)

    monkeypatch.setattr(BaselineTraining, "step", interrupted)
    with pytest.raises(Interrupted, match="stopped and saved in epoch 2"):
        train_baseline(quick(method), benchmark, "cut", CPU, 0)
    monkeypatch.undo()
    monkeypatch.chdir(benchmark.root.parent)
    content, _ = runs.find_run("cut").load()
    assert content is not None
    assert (content["epoch"], content["iteration"]) == (1, 2)
    torch.manual_seed(99)  # What the process drew before must not matter.
    assert_same(whole, trained(quick(method), benchmark, "cut"))
    lines = [json.loads(line) for line in Path("work/runs/cut/metrics.jsonl").read_text().splitlines()]
    others = [json.loads(line) for line in Path("work/runs/whole/metrics.jsonl").read_text().splitlines()]
    assert [line["loss"] for line in lines] == [line["loss"] for line in others]


def test_labels_matter_and_only_by_who_is_the_same(benchmark: Benchmark) -> None:
    """Other names for the same people change nothing; another person for one photo does."""
    first = trained(quick(), benchmark, "one")
    renamed = [ImageRecord(r.path, f"p{r.person}", r.camera, f"p{r.clothes}") for r in benchmark.train]
    assert_same(first, trained(quick(), Benchmark("walkers", benchmark.root, renamed, {}), "two"))
    swapped = [ImageRecord(r.path, "001" if i == 30 else r.person, r.camera) for i, r in enumerate(benchmark.train)]
    other = trained(quick(), Benchmark("walkers", benchmark.root, swapped, {}), "three")
    assert not torch.equal(first["encoder"]["neck.weight"], other["encoder"]["neck.weight"])


def test_the_learning_rate_grows_then_falls_after_each_third() -> None:
    config = quick(lr=0.1, warmup=2, epochs=9, iterations=5)
    rates = [learning_rate(config, epoch, step) for epoch in range(9) for step in range(5)]
    assert rates[:10] == pytest.approx([0.01 * k for k in range(1, 11)])
    assert rates[10:15] == pytest.approx([0.1] * 5)
    assert rates[15:30] == pytest.approx([0.01] * 15)
    assert rates[30:] == pytest.approx([0.001] * 15)


def test_the_command_goes_on_with_the_run_of_a_name(benchmark: Benchmark) -> None:
    words = ["--method", "pcb", "--dataset", "walkers", "--run", "mine", "--device", "cpu"]
    options = [part for name, value in TINY.items() for part in ("--" + name.replace("_", "-"), str(value))]
    for expected in ("run mine: pcb on 36 photos of 6 people", "run mine is finished"):
        done = subprocess.run(
            [sys.executable, "-m", "trainer", "baseline", *words, *options],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
            capture_output=True,
            text=True,
            check=True,
        )
        assert expected in done.stdout + done.stderr
    config, found = choose(None, None, "mine", None, {})
    assert (config, found.root) == (runs.find_run("mine").config, benchmark.root)
    with pytest.raises(InputError, match="was started with method pcb, not twin"):
        train_baseline(quick(), benchmark, "mine", CPU, 0)
    listed = CliRunner().invoke(main, ["runs"])
    assert "method pcb" in listed.output


def test_a_run_belongs_to_its_kind(benchmark: Benchmark, tiny: Callable[..., Config]) -> None:
    """`make train` does not go on with a baseline's run, nor `make baseline` with a training's."""
    trained(quick(), benchmark, "labelled")
    store = SyncStore("work/sync/walkers-tiny")
    done = CliRunner().invoke(main, ["train", "--sync", str(store.path), "--run", "labelled"])
    assert "is of a baseline that takes labels (twin)" in done.output
    assert done.exit_code == 2
    done = CliRunner().invoke(main, ["train", "--sync", str(store.path), "--config", "work/runs/labelled/config.json"])
    assert "is of a baseline that takes labels (twin)" in done.output
    free = runs.start(Path("work/runs/free"), tiny(), store.path, store.manifest, CPU)
    free.save({"epoch": 1}, 1, 0)
    with pytest.raises(InputError, match="run free is one of `make train`"):
        choose(None, None, "free", None, {})
    with pytest.raises(InputError, match="run free is one of `make train`"):
        train_baseline(quick(), benchmark, "free", CPU, 0)
    with pytest.raises(InputError, match="was started on walkers, not prcc"):
        train_baseline(quick(), open_benchmark("prcc", benchmark.root), "labelled", CPU, 0)
    with pytest.raises(InputError, match="keeps no best"):
        Encoder.load("labelled", which="best")


def test_what_a_method_needs_is_asked_for_before_anything_is_written(benchmark: Benchmark) -> None:
    bare = [ImageRecord(r.path, r.person, r.camera) for r in benchmark.train]
    with pytest.raises(InputError, match="learns from the names of clothes"):
        train_baseline(quick("cal"), Benchmark("walkers", benchmark.root, bare, {}), "one", CPU, 0)
    nameless = [ImageRecord(r.path) for r in benchmark.train]
    with pytest.raises(InputError, match="its person is unknown"):
        train_baseline(quick(), Benchmark("folder", benchmark.root, nameless, {}), "one", CPU, 0)
    with pytest.raises(InputError, match="fewer than two people"):
        train_baseline(quick(), Benchmark("csv", benchmark.root, benchmark.train[:6], {}), "one", CPU, 0)
    shutil.rmtree(benchmark.root / FOLDER)
    with pytest.raises(InputError, match="no pose and parsing beside it"):
        train_baseline(quick("sgps"), benchmark, "one", CPU, 0)
    assert not Path("work/runs/one").exists()


def test_settings_are_checked() -> None:
    with pytest.raises(InputError, match="method 'abd' is not known: choose one of lomo-kissme"):
        make_baseline("abd")
    with pytest.raises(InputError, match="backbone is 'small', but of lomo-xqda it is always 'lomo'"):
        make_baseline("lomo-xqda", "paper", {"backbone": "small"})
    with pytest.raises(InputError, match="batch_people is 1: give at least 2"):
        make_baseline("twin", "paper", {"batch_people": 1})


def test_a_loss_that_is_not_finite_ends_the_training(benchmark: Benchmark, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RunError, match="the loss is not finite in epoch"):
        train_baseline(quick(lr=1e30, epochs=9), benchmark, "one", CPU, 0)


def test_reading_ahead_changes_nothing(benchmark: Benchmark) -> None:
    first = trained(quick("sgps"), benchmark, "one")
    train_baseline(quick("sgps"), benchmark, "two", CPU, 1)
    assert_same(first, runs.find_run("two").checkpoint())


def test_a_photo_that_goes_while_it_is_trained_on_costs_nothing_learnt(benchmark: Benchmark) -> None:
    """The steps before it are kept, and the same command goes on once the photo is back."""
    whole = trained(quick(), benchmark, "whole")
    photo = benchmark.train[0].path
    kept = photo.read_bytes()
    photo.unlink()
    with pytest.raises(InputError, match="there is no such file"):
        train_baseline(quick(), benchmark, "cut", CPU, 0)
    assert runs.find_run("cut").begun
    photo.write_bytes(kept)
    assert_same(whole, trained(quick(), benchmark, "cut"))


def test_two_trainings_of_one_run_exclude_each_other(benchmark: Benchmark) -> None:
    Path("work/runs/one").mkdir(parents=True)
    with locked(Path("work/runs/one"), "training"), pytest.raises(RunError, match="another training"):
        train_baseline(quick(), benchmark, "one", CPU, 0)


def test_clothes_belong_to_people(benchmark: Benchmark) -> None:
    photos = labelled_photos(benchmark)
    assert photos.clothes is not None
    assert len(photos.wardrobes) == 12
    assert (photos.wardrobes[photos.clothes] == photos.people).all()
    same = [ImageRecord(r.path, r.person, r.camera, "coat") for r in benchmark.train]
    assert len(labelled_photos(Benchmark("csv", benchmark.root, same, {})).wardrobes) == 6
