"""Clusters by a second encoder that learns from photos alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from data.runtime.errors import InputError, Interrupted
from data.shards import SyncStore
from trainer import runs
from trainer.clustering import pseudo_labels, without_camera_means
from trainer.config import Config
from trainer.encoder import encode_store
from trainer.loop import Trainer
from trainer.observers import Silence

CPU = torch.device("cpu")
Tiny = Callable[..., Config]


def make_trainer(store: SyncStore, config: Config, folder: Path, cameras: np.ndarray | None = None) -> Trainer:
    run = runs.start(folder, config, store.path, store.manifest, CPU)
    return Trainer(config, store, run, CPU, Silence(), cameras=cameras)


def weights(module: torch.nn.Module) -> list[torch.Tensor]:
    return [tensor.clone() for tensor in module.state_dict().values()]


def equal(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_photos_are_clustered_by_the_labeller(store: SyncStore, tiny: Tiny, tmp_path: Path) -> None:
    config = tiny(labeller=True)
    trainer = make_trainer(store, config, tmp_path / "run")
    trainer.cluster()
    labeller = trainer.state.labeller
    assert labeller is not None
    own, others = (encode_store(encoder, store) for encoder in (labeller.encoder, trainer.state.encoder))
    expected = pseudo_labels(own, config.eps, config.min_samples, config.k1, config.k2)
    np.testing.assert_array_equal(trainer.state.labels, expected)
    assert not torch.allclose(own, others), "the two start differently"
    first = trainer.state.memories[0].features[0]
    assert min((others - first).norm(dim=1)) < 1e-5, "the learner's memory is of its own features"
    assert labeller.memory is not None
    assert min((own - labeller.memory.features[0]).norm(dim=1)) < 1e-5


def test_it_learns_from_the_photos_and_the_learner_from_all(store: SyncStore, tiny: Tiny, tmp_path: Path) -> None:
    trainer = make_trainer(store, tiny(labeller=True), tmp_path / "run")
    trainer.cluster()
    labeller = trainer.state.labeller
    assert labeller is not None
    seen: dict[str, int] = {}
    labeller.encoder.body.register_forward_hook(lambda _m, given, _out: seen.update(labeller=len(given[0])))
    trainer.state.encoder.body.register_forward_hook(lambda _m, given, _out: seen.update(learner=len(given[0])))
    before = weights(labeller.encoder), weights(trainer.state.encoder)
    trainer.step()
    photos = trainer.config.batch_clusters * trainer.config.batch_photos
    assert seen == {"labeller": photos, "learner": photos * trainer.config.images}
    assert not equal(before[0], weights(labeller.encoder))
    assert not equal(before[1], weights(trainer.state.encoder))


def test_at_first_it_may_learn_alone(store: SyncStore, tiny: Tiny, tmp_path: Path) -> None:
    trainer = make_trainer(store, tiny(labeller=True, labeller_epochs=1, epochs=2), tmp_path / "run")
    learner = [parameter.clone() for parameter in trainer.state.encoder.parameters()]
    trainer.cluster()
    assert trainer.step().l_s == 0
    assert equal(learner, [parameter.detach() for parameter in trainer.state.encoder.parameters()])
    trainer.run()
    assert not equal(learner, [parameter.detach() for parameter in trainer.state.encoder.parameters()])
    assert [record["L_s"] > 0 for record in trainer.state.history] == [False, True]


def test_a_labeller_s_epochs_need_a_labeller_and_an_end(tiny: Tiny) -> None:
    with pytest.raises(InputError, match="labeller_epochs"):
        tiny(labeller_epochs=1)
    with pytest.raises(InputError, match="labeller_epochs"):
        tiny(labeller=True, labeller_epochs=3, epochs=3)


def test_stopped_and_resumed_is_the_same_bit_for_bit(store: SyncStore, tiny: Tiny, tmp_path: Path) -> None:
    config = tiny(labeller=True, labeller_epochs=1, epochs=3, iterations=4)
    straight = make_trainer(store, config, tmp_path / "straight")
    straight.run()

    class Stopping(Silence):
        def step(self, done: int, of: int, epoch: int) -> None:
            if (epoch, done) in [(1, 2), (2, 3)] and (epoch, done) not in stops:
                stops.append((epoch, done))
                trainer._interrupted = lambda: True

    stops: list[tuple[int, int]] = []
    while True:
        trainer = make_trainer(store, config, tmp_path / "stopped")
        trainer.observer = Stopping()
        try:
            trainer.run()
            break
        except Interrupted:
            pass
    assert stops == [(1, 2), (2, 3)]
    ours, theirs = (contents(each) for each in (straight, trainer))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def contents(trainer: Trainer) -> dict[str, Any]:
    content = trainer.state.content()
    tensors = {f"encoder.{name}": value for name, value in content["encoder"].items()}
    tensors |= {f"labeller.{name}": value for name, value in content["labeller"]["encoder"].items()}
    return tensors | {"memory": content["labeller"]["memory"], "labels": content["labels"]}


def test_cameras_means_are_taken_out() -> None:
    random = np.random.default_rng(0)
    cameras = random.integers(0, 3, 60)
    features = torch.nn.functional.normalize(torch.from_numpy(random.normal(size=(60, 8)) + 3 * np.eye(8)[cameras]))
    taken = without_camera_means(features, cameras)
    for camera in range(3):
        own = features[torch.from_numpy(cameras == camera)]
        expected = torch.nn.functional.normalize(own - own.mean(0))
        assert torch.allclose(taken[torch.from_numpy(cameras == camera)], expected)


def test_clusters_are_of_features_without_cameras_means(store: SyncStore, tiny: Tiny, tmp_path: Path) -> None:
    cameras = np.arange(len(store)) % 3
    config = tiny(camera_means=True)
    trainer = make_trainer(store, config, tmp_path / "run", cameras)
    trainer.cluster()
    features = without_camera_means(encode_store(trainer.state.encoder, store), cameras)
    expected = pseudo_labels(features, config.eps, config.min_samples, config.k1, config.k2)
    np.testing.assert_array_equal(trainer.state.labels, expected)


def test_what_is_asked_for_and_cannot_be_is_said(store: SyncStore, tiny: Tiny, tmp_path: Path) -> None:
    said: list[str] = []

    class Listening(Silence):
        def say(self, line: str) -> None:
            said.append(line)

    trainer = make_trainer(store, tiny(camera_means=True, backgrounds=0.5, epochs=1, iterations=1), tmp_path / "run")
    trainer.observer = Listening()
    trainer.run()
    assert any(line.startswith("backgrounds stay: the shards do not say where the people are") for line in said)
    assert any(line.startswith("cameras are not known of all photos") for line in said)
