from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from data.runtime.errors import InputError, Interrupted, RunError
from data.shards import SyncStore
from trainer import Encoder, runs
from trainer.batches import plan_epoch
from trainer.config import Config
from trainer.encoder import encode_store
from trainer.loop import Trainer, learning_rate
from trainer.randomness import Purpose, stream

CPU = torch.device("cpu")
Tiny = Callable[..., Config]


class Watcher:
    """An observer that remembers, and may act at a step."""

    def __init__(self, at_step: Callable[[int, int], None] = lambda epoch, done: None) -> None:
        self.lines: list[str] = []
        self.history: list[dict[str, float]] = []
        self.labels: list[np.ndarray] = []
        self.scores: list[float] = []
        self.at_step = at_step

    def say(self, line: str) -> None:
        self.lines.append(line)

    def step(self, done: int, of: int, epoch: int) -> None:
        self.at_step(epoch, done)

    def clusters(self, labels: np.ndarray) -> dict[str, float]:
        self.labels.append(labels.copy())
        return {}

    def validate(self, encoder: Encoder) -> dict[str, float]:
        return {"score": self.scores.pop(0)} if self.scores else {}

    def epoch(self, history: list[dict[str, float]], labels: np.ndarray) -> None:
        self.history = [dict(figures) for figures in history]


def start(store: SyncStore, config: Config, folder: Path) -> runs.Run:
    return runs.start(folder, config, store.path, store.manifest, CPU)


def trained(store: SyncStore, config: Config, folder: Path, watcher: Watcher | None = None) -> dict[str, Any]:
    run = start(store, config, folder)
    Trainer(config, store, run, CPU, watcher or Watcher()).run()
    content, _ = run.load()
    assert content is not None
    return content


def assert_same(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Bit for bit, but for the seconds things took."""
    for key in ("encoder", "optimiser"):
        assert _flat(ours[key]).keys() == _flat(theirs[key]).keys()
        for name, value in _flat(ours[key]).items():
            other = _flat(theirs[key])[name]
            assert torch.equal(value, other) if isinstance(value, torch.Tensor) else value == other, name
    assert torch.equal(ours["labels"], theirs["labels"])
    assert all(torch.equal(a, b) for a, b in zip(ours["memories"], theirs["memories"], strict=True))
    losses = [[figures["loss"] for figures in content["history"]] for content in (ours, theirs)]
    assert losses[0] == losses[1]


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        return {key: leaf for part, inner in value.items() for key, leaf in _flat(inner, f"{name}.{part}").items()}
    if isinstance(value, list):
        return _flat(dict(enumerate(value)), name)
    return {name: value}


def test_learning_rate(tiny: Tiny) -> None:
    config = tiny(lr=0.02, warmup=2, iterations=5)
    rates = [learning_rate(config, epoch, iteration) for epoch in range(3) for iteration in range(5)]
    assert rates == pytest.approx([0.02 * n / 10 for n in range(1, 11)] + [0.02] * 5)
    assert learning_rate(tiny(lr=0.02, warmup=0), 0, 0) == 0.02


def test_the_memory_of_clustering_is_told_before_it_is_taken(store: SyncStore, tiny: Tiny, tmp_path: Path) -> None:
    told: list[str] = []
    watcher = Watcher(at_step=lambda epoch, done: told.extend(watcher.lines) if (epoch, done) == (1, 1) else None)
    trained(store, tiny(epochs=1), tmp_path / "run", watcher)
    assert [line for line in told if line.startswith("clustering 36 photos takes up to 0.1 GiB")]


def test_training_learns_and_records(store: SyncStore, tiny: Tiny, tmp_path: Path) -> None:
    watcher = Watcher()
    content = trained(store, tiny(epochs=4, iterations=8), tmp_path / "run", watcher)
    assert [figures["epoch"] for figures in watcher.history] == [1, 2, 3, 4]
    for figures, labels in zip(watcher.history, watcher.labels, strict=True):
        assert figures["loss"] == pytest.approx(figures["L_q"] + 0.3 * figures["L_s"], rel=1e-5)
        assert figures["clusters"] == labels.max() + 1 >= 2
        assert figures["outliers"] == (labels < 0).sum()
        assert figures["largest"] == np.bincount(labels[labels >= 0]).max()
        assert figures["gradient_norm"] > 0
        assert figures["feature_norm"] > 0
        assert 0 <= figures["data_seconds"] < figures["step_seconds"]
    assert watcher.history[-1]["L_q"] < watcher.history[0]["L_q"]
    assert content["epoch"] == 4


@pytest.mark.parametrize("sampling", ["none", "average", "hardest", "both"])
@pytest.mark.parametrize(
    ("c_a", "c_i", "consistency_temperature"),
    [(True, True, 0.1), (True, True, 0.7), (True, False, 0.1), (False, True, 0.1), (False, False, 0.1)],
)
def test_a_step_is_the_paper_s(
    store: SyncStore, tiny: Tiny, tmp_path: Path, sampling: str, c_a: bool, c_i: bool, consistency_temperature: float
) -> None:
    """One step against Algorithm 1 written out: which images are contrasted, L, and the memories after it."""
    config = tiny(
        epochs=1, iterations=1, sampling=sampling, c_a=c_a, c_i=c_i, consistency_temperature=consistency_temperature
    )
    trainer = Trainer(config, store, start(store, config, tmp_path / "run"), CPU, Watcher())
    trainer.cluster()
    state, seen = trainer.state, []
    before = [memory.features.clone() for memory in state.memories]
    assert len(before) == (2 if sampling == "both" else 1)
    assert all(torch.equal(memory, before[0]) for memory in before)
    clusters = int(state.labels.max()) + 1
    random = stream(config.seed, Purpose.PLAN, 0)
    [indices] = plan_epoch(state.labels, config.batch_clusters, config.batch_photos, 1, random).reshape(1, -1)
    state.encoder.neck.register_forward_hook(lambda _neck, _vectors, out: seen.append(F.normalize(out.detach())))
    measures = trainer.step()

    [features] = seen
    features = features.reshape(len(indices), config.images, -1)
    contrasted = features if c_a else features[:, :1]
    labels = state.labels[indices]
    l_q = 0.0
    for memory in before:
        for photo, label in zip(contrasted, labels, strict=True):
            for f in photo:
                l_q -= float(torch.log_softmax(memory @ f / config.temperature, 0)[label])
    l_q /= len(before) * contrasted.shape[0] * contrasted.shape[1]
    l_s = 0.0
    if c_i:
        p = torch.softmax(features / config.consistency_temperature, -1)
        for photo in p:
            l_s += float(sum((a * (a / b).log()).sum() for a in photo for b in photo))
        l_s /= len(indices) * config.images
    assert [measures.loss, measures.l_q, measures.l_s] == pytest.approx(
        [l_q + config.alpha * l_s, l_q, l_s], rel=1e-4, abs=1e-5
    )

    updates = {"none": ["each"], "average": ["mean"], "hardest": ["hard"], "both": ["mean", "hard"]}[sampling]
    for stepped, old, update in zip(state.memories, before, updates, strict=True):
        for cluster in set(labels):
            members = contrasted[torch.from_numpy(labels == cluster)].flatten(0, 1)
            new = old[cluster]
            if update == "each":
                targets = list(members)
            elif update == "mean":
                targets = [members.mean(0)]
            else:
                T = config.consistency_temperature
                p, q = torch.softmax(members / T, 1), torch.softmax(old[cluster] / T, 0)
                targets = [members[(p * (p / q).log()).sum(1).argmax()]]
            for target in targets:
                new = F.normalize(config.momentum * new + (1 - config.momentum) * target, dim=0)
            assert torch.allclose(stepped.features[cluster], new, atol=1e-5)
        others = sorted(set(range(clusters)) - set(labels))
        assert torch.equal(stepped.features[others], old[others])


def test_memories_start_from_a_member_of_their_cluster(store: SyncStore, tiny: Tiny, tmp_path: Path) -> None:
    config = tiny()
    trainer = Trainer(config, store, start(store, config, tmp_path / "run"), CPU, Watcher())
    trainer.cluster()
    state = trainer.state
    features = encode_store(state.encoder, store)
    for cluster, vector in enumerate(state.memories[0].features):
        members = features[torch.from_numpy(state.labels == cluster)]
        assert ((members - vector).abs().amax(1) < 1e-5).any()


def test_labels_on_disk_change_nothing(make_store: Callable[..., Path], tiny: Tiny, tmp_path: Path) -> None:
    """The trainer's weights are the same bits after the people's folders were shuffled and then removed."""
    folder = make_store()
    first = trained(SyncStore(folder), tiny(), tmp_path / "one")
    people = sorted((tmp_path / "dataset" / "rgb" / "train").iterdir())
    for number, person in enumerate(people):
        person.rename(person.with_name(f"x{number}"))
    for number in range(len(people)):
        (people[0].parent / f"x{number}").rename(people[(number + 1) % len(people)])
    assert_same(first, trained(SyncStore(folder), tiny(), tmp_path / "two"))
    shutil.rmtree(tmp_path / "dataset")
    assert_same(first, trained(SyncStore(folder), tiny(), tmp_path / "three"))


def test_another_seed_gives_another_encoder(store: SyncStore, tiny: Tiny, tmp_path: Path) -> None:
    ones = [trained(store, tiny(seed=seed), tmp_path / str(seed))["encoder"]["neck.weight"] for seed in (0, 1)]
    assert not torch.equal(*ones)


@pytest.mark.parametrize("signal_name", ["SIGTERM", "SIGINT"])
def test_a_signal_saves_and_the_rest_is_bit_for_bit(
    store: SyncStore, tiny: Tiny, tmp_path: Path, signal_name: str
) -> None:
    import signal

    whole = trained(store, tiny(), tmp_path / "whole")

    def interrupt(epoch: int, done: int) -> None:
        if (epoch, done) == (2, 2):
            os.kill(os.getpid(), getattr(signal, signal_name))

    with pytest.raises(Interrupted, match="epoch 2"):
        trained(store, tiny(), tmp_path / "cut", Watcher(interrupt))
    content, _ = runs.Run(tmp_path / "cut").load()
    assert content is not None
    assert (content["epoch"], content["iteration"]) == (1, 2)
    torch.manual_seed(99)  # What the process drew before must not matter.
    watcher = Watcher()
    assert_same(whole, trained(store, tiny(), tmp_path / "cut", watcher))
    assert watcher.lines == ["going on after 1 epochs and 2 steps"]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_damaged_newest_checkpoint_falls_back(store: SyncStore, tiny: Tiny, tmp_path: Path) -> None:
    whole = trained(store, tiny(epochs=3), tmp_path / "run")
    newest, before = runs.Run(tmp_path / "run").checkpoints()
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 0xFF
    newest.write_bytes(data)
    watcher = Watcher()
    assert_same(whole, trained(store, tiny(epochs=3), tmp_path / "run", watcher))
    assert newest.name in watcher.lines[0]
    assert "damaged" in watcher.lines[0]
    assert watcher.lines[1] == "going on after 2 epochs"
    assert before.exists()


def test_a_network_that_draws_resumes_too(store: SyncStore, tiny: Tiny, tmp_path: Path) -> None:
    """Dropout and the like draw from torch's own generator; their draws belong to the step."""
    pytest.importorskip("timm")
    config = tiny(backbone="timm:test_vit", height=32, width=32, batch_photos=1, last_stride=2)
    draws = stream(config.seed, Purpose.NETWORK, 0, 1, 0).integers(1 << 63)
    whole = trained(store, config, tmp_path / "whole")

    def interrupt(epoch: int, done: int) -> None:
        if done == 2 and epoch == 1:
            raise RunError("stop here")

    with pytest.raises(RunError):
        trained(store, config, tmp_path / "cut", Watcher(interrupt))
    assert_same(whole, trained(store, config, tmp_path / "cut"))
    assert draws == stream(config.seed, Purpose.NETWORK, 0, 1, 0).integers(1 << 63)


def test_a_loss_that_is_not_finite_keeps_the_batch(store: SyncStore, tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"not finite.*bad-batch-0\.pt"):
        trained(store, tiny(lr=1e30, iterations=8), tmp_path / "run")
    kept = torch.load(tmp_path / "run" / "bad-batch-0.pt", weights_only=True)
    assert kept["groups"].dtype == torch.uint8
    assert np.array_equal(kept["groups"].numpy(), store.groups(kept["photos"].numpy()))
    assert not np.isfinite(kept["measures"]).all()


def test_too_few_clusters_is_a_message(store: SyncStore, tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"eps 0\.02"):
        trained(store, tiny(eps=0.02, min_samples=20), tmp_path / "run")


def test_the_search_for_neighbours_is_a_setting(
    monkeypatch: pytest.MonkeyPatch, store: SyncStore, tiny: Tiny, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "pynndescent", None)
    with pytest.raises(InputError, match="approximate neighbours need pynndescent"):
        trained(store, tiny(search="approximate"), tmp_path / "run")


def test_each_photo_as_its_own_class_where_asked(store: SyncStore, tiny: Tiny, tmp_path: Path) -> None:
    watcher = Watcher()
    config = tiny(eps=0.02, min_samples=20, instance_epochs=1)
    with pytest.raises(RunError, match="epoch 2"):
        trained(store, config, tmp_path / "run", watcher)
    assert watcher.history[0]["clusters"] == len(store)


def test_a_shard_that_breaks_stops_with_a_checkpoint(store: SyncStore, tiny: Tiny, tmp_path: Path) -> None:
    config = tiny(epochs=1, iterations=40)
    whole = trained(store, config, tmp_path / "whole")
    broken = store.path / "shard-00001.h5"
    kept = broken.read_bytes()

    def damage(_epoch: int, done: int) -> None:
        if done == 2:
            data = bytearray(kept)
            for photo in range(10, 20):
                data[data.index(store.group(photo).tobytes())] ^= 0xFF
            broken.write_bytes(data)

    run = start(store, config, tmp_path / "cut")
    with pytest.raises(RunError, match=r"shard-00001\.h5"):
        Trainer(config, SyncStore(store.path), run, CPU, Watcher(damage)).run()
    broken.write_bytes(kept)
    content, _ = run.load()
    assert content is not None
    assert content["iteration"] >= 2
    assert_same(whole, trained(SyncStore(store.path), config, tmp_path / "cut"))


def test_best_is_the_validation_s_choice(store: SyncStore, tiny: Tiny, tmp_path: Path) -> None:
    watcher = Watcher()
    watcher.scores = [10.0, 30.0, 20.0]
    trained(store, tiny(epochs=3, validate_every=1), tmp_path / "run", watcher)
    assert runs.read_checkpoint(tmp_path / "run" / "best.pt")["epoch"] == 2


def test_settings_the_shards_cannot_serve(store: SyncStore, tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="shards hold 2"):
        trained(store, tiny(versions=3), tmp_path / "run")
    assert json.loads((tmp_path / "run" / "run.json").read_text())["finished"] is None
