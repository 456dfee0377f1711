"""Fitting a generator: exact examples, a loss that falls, and a run that goes on where it was stopped."""

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from data.annotation import CLOTHING_REGIONS
from data.runtime.errors import Interrupted, RunError
from pipeline.pise import Generator, load_generator
from pipeline.pise.fitting import training
from pipeline.pise.fitting.batch import Batch
from pipeline.pise.fitting.fidelity import measure_fidelity
from pipeline.pise.fitting.objectives import redraw
from pipeline.pise.fitting.scenes import Scenes, render_scenes
from pipeline.pise.fitting.settings import PiseSettings
from pipeline.pise.fitting.training import Examples, learning_rate, train_generator

TINY = PiseSettings(
    channels=4, height=64, width=32, scenes=6, steps=6, batch=4, coarse_steps=2, discriminator_channels=4
)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    return render_scenes(range(TINY.scenes), TINY.seed, TINY.height, TINY.width, jobs=1)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_source_and_target_are_one_person_in_two_outfits(scenes: Scenes) -> None:
    batch = scenes.batch(np.arange(6), person=0, outfit=0)
    covered = batch.source_parsing[:, CLOTHING_REGIONS] + batch.target_parsing[:, CLOTHING_REGIONS]
    clothes = covered.amax(1, keepdim=True).bool().expand_as(batch.source)
    difference = (batch.source - batch.target).abs()
    assert difference[clothes].mean() > 5 * difference[~clothes].mean()
    back = scenes.batch(np.arange(6), person=0, outfit=1)
    torch.testing.assert_close(back.source, batch.target)
    torch.testing.assert_close(back.pose, batch.pose)


def test_every_other_scene_keeps_the_shape_of_the_clothes(scenes: Scenes) -> None:
    same = (scenes.parsings[:, :, 0] == scenes.parsings[:, :, 1]).all(axis=(1, 2, 3))
    assert same[1::2].all()
    assert not same[0::2].all()


def test_scenes_do_not_depend_on_the_number_of_processes(scenes: Scenes) -> None:
    again = render_scenes(range(TINY.scenes), TINY.seed, TINY.height, TINY.width, jobs=2)
    np.testing.assert_array_equal(again.images, scenes.images)


def test_only_the_clothes_come_from_the_template(scenes: Scenes) -> None:
    torch.manual_seed(0)
    generator = Generator(4).eval()
    batch = scenes.batch(np.arange(6), person=0, outfit=0)
    undressed = batch.template_parsing.clone()
    undressed[:, CLOTHING_REGIONS] = 0
    undressed[:, 0] = 1 - undressed[:, 1:].sum(1)
    other = replace(batch, template=-batch.template)
    with torch.no_grad():
        assert not torch.allclose(redraw(generator, batch), redraw(generator, other))
        nothing_to_wear = replace(batch, template_parsing=undressed)
        other = replace(nothing_to_wear, template=-batch.template)
        torch.testing.assert_close(redraw(generator, nothing_to_wear), redraw(generator, other))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_as_an_uninterrupted_one(
    scenes: Scenes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    whole = train_generator(lambda: scenes, TINY, tmp_path / "whole", CPU, every=2)
    draw = training.draw_batch

    def interrupted(some: Examples, settings: PiseSettings, step: int, device: torch.device) -> Batch:
        if step == 3:
            os.kill(os.getpid(), number)
        return draw(some, settings, step, device)

    monkeypatch.setattr(training, "draw_batch", interrupted)
    with pytest.raises(Interrupted, match="after step 4 of 6"):
        train_generator(lambda: scenes, TINY, tmp_path / "parts", CPU, every=100)
    monkeypatch.setattr(training, "draw_batch", draw)
    parts = train_generator(lambda: scenes, TINY, tmp_path / "parts", CPU, every=2)
    expected, resumed = load_generator(whole).state_dict(), load_generator(parts).state_dict()
    assert expected.keys() == resumed.keys()
    assert all(torch.equal(expected[name], resumed[name]) for name in expected)


def test_a_finished_run_needs_no_examples(scenes: Scenes, tmp_path: Path) -> None:
    settings = replace(TINY, steps=1)
    weights = train_generator(lambda: scenes, settings, tmp_path, CPU)
    before = load_generator(weights).state_dict()
    weights.unlink()

    def never() -> Scenes:
        raise AssertionError("made examples")

    again = load_generator(train_generator(never, settings, tmp_path, CPU)).state_dict()
    assert all(torch.equal(before[name], again[name]) for name in before)


def test_a_damaged_checkpoint_is_told(scenes: Scenes, tmp_path: Path) -> None:
    (tmp_path / training.CHECKPOINT).write_bytes(b"PK\3\4 cut short")
    with pytest.raises(RunError, match="damaged: remove it"):
        train_generator(lambda: scenes, TINY, tmp_path, CPU)


def test_the_loss_falls_and_is_written_down(scenes: Scenes, tmp_path: Path) -> None:
    settings = replace(TINY, steps=60, learning_rate=3e-3, coarse_steps=50)
    train_generator(lambda: scenes, settings, tmp_path, CPU, every=20)
    lines = [json.loads(line) for line in (tmp_path / training.METRICS).read_text().splitlines()]
    assert [line["step"] for line in lines] == [20, 40, 60]
    assert lines[-1]["l1"] < 0.9 * lines[0]["l1"]
    assert "discriminator" in lines[-1]
    with Image.open(tmp_path / training.SHEET) as sheet:
        assert sheet.size == (4 + 4 * 4 * (32 + 4), 4 + 64 + 4)


def test_other_settings_do_not_go_on_from_a_checkpoint(scenes: Scenes, tmp_path: Path) -> None:
    train_generator(lambda: scenes, TINY, tmp_path, CPU)
    with pytest.raises(RunError, match="other settings"):
        train_generator(lambda: scenes, replace(TINY, seed=1), tmp_path, CPU)


def test_a_loss_that_is_not_finite_stops(scenes: Scenes, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="not finite at step"):
        train_generator(lambda: scenes, replace(TINY, learning_rate=1e38), tmp_path, CPU)


def test_the_learning_rate_warms_up_and_falls() -> None:
    settings = PiseSettings(steps=1000)
    rates = [learning_rate(settings, step) for step in range(1000)]
    assert rates.index(max(rates)) == 199
    assert rates[-1] == pytest.approx(0.02 * settings.learning_rate, rel=0.01)


class Parrot(Generator):
    """Stands in for a generator that is perfect, or that changes nothing."""

    def __init__(self, answers: Scenes, truthful: bool) -> None:
        super().__init__(4)
        self.answers, self.truthful, self.calls = answers, truthful, 0

    def paint(
        self,
        layout: torch.Tensor,
        target_parsing: torch.Tensor,
        codes: torch.Tensor,
        present: torch.Tensor,
        image: torch.Tensor | None = None,
    ) -> torch.Tensor:
        person, outfit = divmod(self.calls, 2)
        self.calls += 1
        batch = self.answers.batch(np.arange(len(self.answers)), person, outfit)
        return batch.target if self.truthful else batch.source


def test_fidelity_tells_a_perfect_generator_from_one_that_changes_nothing(scenes: Scenes) -> None:
    perfect = measure_fidelity(Parrot(scenes, truthful=True), scenes, CPU)
    idle = measure_fidelity(Parrot(scenes, truthful=False), scenes, CPU)
    assert perfect.pictures == idle.pictures == 4 * len(scenes)
    assert (perfect.clothes_to_new, perfect.nearer_to_new) == (0, 1)
    assert perfect.clothes_to_old == pytest.approx(perfect.clothes_between)
    assert (idle.clothes_to_old, idle.rest_to_source, idle.nearer_to_new) == (0, 0, 0)
    assert idle.clothes_to_new == pytest.approx(idle.clothes_between)
    assert perfect.body_to_source < 0.2 * perfect.clothes_between
