"""Which camera took a photo: what a training may do with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from data.shards import SyncStore
from trainer.clustering import clusters_seen
from trainer.config import Config
from trainer.loop import Trainer
from trainer.observers import Silence
from trainer.runs import Run

Tiny = Callable[..., Config]


@given(st.lists(st.tuples(st.integers(-1, 4), st.sampled_from("abc")), min_size=1, max_size=40))
def test_a_camera_saw_the_clusters_of_its_photos(photos: list[tuple[int, str]]) -> None:
    labels, cameras = np.array([label for label, _ in photos], np.int64), np.array([camera for _, camera in photos])
    seen = clusters_seen(labels, cameras)
    assert seen.shape == (len(photos), labels.max() + 1)
    for row, camera in zip(seen, cameras, strict=True):
        assert set(np.flatnonzero(row)) == set(labels[(cameras == camera) & (labels >= 0)])


def begin(store: SyncStore, config: Config, folder: Path, cameras: np.ndarray | None) -> Trainer:
    folder.mkdir(exist_ok=True)
    return Trainer(config, store, Run(folder), torch.device("cpu"), Silence(), 0, cameras)


def train(store: SyncStore, config: Config, folder: Path, cameras: np.ndarray | None) -> Trainer:
    trainer = begin(store, config, folder, cameras)
    trainer.run()
    return trainer


def same(one: Trainer, other: Trainer) -> bool:
    ours, theirs = one.state.encoder.state_dict(), other.state.encoder.state_dict()
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_one_camera_for_all_contrasts_with_every_cluster(store: SyncStore, tiny: Tiny, tmp_path: Path) -> None:
    one = np.zeros(len(store), np.int64)
    plain = train(store, tiny(), tmp_path / "plain", None)
    assert same(plain, train(store, tiny(camera_negatives=True), tmp_path / "one", one))
    assert same(plain, train(store, tiny(camera_negatives=True), tmp_path / "unknown", None))


def test_what_no_camera_of_a_photo_saw_is_not_contrasted(store: SyncStore, tiny: Tiny, tmp_path: Path) -> None:
    """Where each cluster has a camera of its own nothing is left to contrast with."""
    config = tiny(camera_negatives=True, sampling="average", c_i=False, weight_decay=0.0)
    trainer = begin(store, config, tmp_path / "run", np.arange(len(store)) // 6)
    people = np.arange(len(store), dtype=np.int64) // 6
    trainer.begin_epoch(people, trainer.encode(trainer.state.encoder)[trainer.first_members(people)])
    assert trainer.step().l_q == pytest.approx(0, abs=1e-6)


def test_a_training_that_was_stopped_contrasts_as_before(store: SyncStore, tiny: Tiny, tmp_path: Path) -> None:
    cameras, config = np.arange(len(store)) // 18, tiny(camera_negatives=True)
    straight = train(store, config, tmp_path / "straight", cameras)
    assert not same(straight, train(store, tiny(), tmp_path / "plain", cameras))
    first = begin(store, config, tmp_path / "parts", cameras)
    first.cluster()
    first.step()
    Run(tmp_path / "parts").save(first.state.content(), 0, 1)
    assert same(straight, train(store, config, tmp_path / "parts", cameras))


def test_unknown_cameras_are_said(store: SyncStore, tiny: Tiny, tmp_path: Path) -> None:
    said: list[str] = []

    class Listening(Silence):
        def say(self, line: str) -> None:
            said.append(line)

    trainer = begin(store, tiny(camera_negatives=True), tmp_path / "run", None)
    trainer.observer = Listening()
    trainer.run()
    assert "cameras are not known of all photos, so each is held against all clusters" in said
