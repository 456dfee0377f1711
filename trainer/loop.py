"""The training loop (Algorithm 1): cluster, contrast, step the memories; it sees shards and no labels."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from data.runtime.allocator import give_freed_memory_back
from data.runtime.errors import InputError, Interrupted, RunError
from data.runtime.signals import deferred_interrupts
from data.shards import SyncStore
from trainer import distributed
from trainer.batches import DRAWS, Groups, make_views, plan_epoch, read_with_masks
from trainer.clustering import clusters_seen, without_camera_means
from trainer.clustering.advice import advice
from trainer.clustering.labels import memory_needed, pseudo_labels
from trainer.config import Config
from trainer.encoder import Encoder, calibrate, describe, encode_store, make_encoder
from trainer.learners import Labeller, make_learner
from trainer.losses import self_identity
from trainer.memory import ClusterMemory
from trainer.method import UPDATES
from trainer.observers.observer import Observer
from trainer.randomness import Purpose, stream, torch_seed
from trainer.runs import Run
from trainer.state import Measures, State

_CALIBRATION_BATCHES = 8
"""Batches that give random weights their batch-norm statistics; found by trying on walkers."""

Batch = tuple[Groups, np.ndarray]
"""Groups and the indices of their photos, (n,)."""


def learning_rate(config: Config, epoch: int, iteration: int) -> float:
    """Give the rate of a step: linear growth over the warm-up's epochs, then constant; both count from 0."""
    steps = config.warmup * config.iterations
    done = epoch * config.iterations + iteration + 1
    return config.lr * min(1.0, done / steps) if steps else config.lr


class Trainer:
    """A training, from where the run's newest checkpoint is: `run` does all of it.

    `cluster` begins an epoch and `step` takes its next step, for whoever wants to go step by step.

    Args:
        config: all settings.
        store: the shards to learn from.
        run: where checkpoints are read and written.
        device: what computes.
        observer: what is told of the training's progress.
        workers: processes that read ahead; 0 reads in this one.
        cameras: which camera took each photo of the store, (N,); None where that is not known.

    Raises:
        InputError: the settings do not go with these shards or this number of processes.
    """

    taught_by: ClassVar[str] = "clusters"
    """Where an epoch's labels come from; it stands in run.json."""

    def __init__(
        self,
        config: Config,
        store: SyncStore,
        run: Run,
        device: torch.device,
        observer: Observer,
        workers: int = 0,
        cameras: np.ndarray | None = None,
    ) -> None:
        _check(config, store)
        self._cameras = cameras
        self.config, self.store, self._run = config, store, run
        self.device, self.observer, self.workers = device, observer, workers
        if config.deterministic:  # What cuBLAS asks for; it is read when a GPU first multiplies.
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.benchmark = not config.deterministic
        torch.use_deterministic_algorithms(config.deterministic)
        self._opening: list[str] = []
        self.state = self._initial_state()
        if config.compile:
            self.state.encoder.body.compile()
        self._learner = make_learner(self.state.encoder)
        self._batches: Iterator[Batch] | None = None
        self._seen: np.ndarray | None = None
        self._interrupted: Callable[[], bool] = lambda: False
        self.seconds_waited = 0.0
        """Seconds that steps have waited for their batches since the epoch began or was resumed."""

    def run(self) -> None:
        """Train to the last epoch.

        Ctrl-C and SIGTERM end it after the step in hand, with a checkpoint.

        Raises:
            Interrupted: a signal came.
            RunError: the loss is not finite (the batch is saved), clustering finds fewer than two clusters, or a shard
                cannot be read.
        """
        config, state = self.config, self.state
        while self._opening:
            self.observer.say(self._opening.pop(0))
        while state.epoch < config.epochs:
            begun = time.perf_counter()
            if state.iteration == 0:
                self.cluster()
            clustered = time.perf_counter()
            with deferred_interrupts() as self._interrupted:
                record = self._finish_epoch()
                record |= _cluster_sizes(state.labels) | self.observer.clusters(state.labels)
                record |= {"eps": config.eps, "cluster_seconds": clustered - begun}
                record |= {"lr": learning_rate(config, state.epoch, config.iterations - 1)}
                state.epoch, state.iteration, state.total = state.epoch + 1, 0, Measures()
                if config.validate_every and (state.epoch % config.validate_every == 0 or state.epoch == config.epochs):
                    record |= self._validate()
                state.history.append({"epoch": state.epoch, **record})
                self.observer.epoch(state.history, state.labels)
                self._save()
                if distributed.any_rank(self._interrupted(), self.device) and state.epoch < config.epochs:
                    raise Interrupted(f"stopped and saved after epoch {state.epoch}: repeat the same command to go on")

    def cluster(self) -> None:
        """Give the epoch its pseudo labels and memories, the same on every process.

        Raises:
            RunError: there are fewer than two clusters.
        """
        config, state = self.config, self.state
        features = self.encode(state.labeller.encoder if state.labeller else state.encoder)
        # Clustering first looks how much memory the system has left; what the encoder has just freed counts as well.
        give_freed_memory_back()
        cameras = self._cameras if config.camera_means else None
        compared = features if cameras is None else without_camera_means(features, cameras)
        labels = distributed.on_first(lambda: _label(compared, state.epoch, config))
        members = self.first_members(labels)
        if state.labeller:
            state.labeller.begin_epoch(features[members])
            if not self._labelling:
                features = self.encode(state.encoder)
        self.begin_epoch(labels, features[members])

    def first_members(self, labels: np.ndarray) -> Tensor:
        """Draw of each label but -1 the photo that its memory starts from: int64 (C,), on the device."""
        shuffled = stream(self.config.seed, Purpose.MEMORY, self.state.epoch).permutation(len(labels))
        clusters, first = np.unique(labels[shuffled], return_index=True)
        return torch.from_numpy(shuffled[first[clusters >= 0]]).to(self.device)

    def begin_epoch(self, labels: np.ndarray, initial: Tensor) -> None:
        """Take pseudo labels, int64 (N,), noise -1, and the vectors (C, d) that the clusters' memories start from."""
        config = self.config
        self.state.labels = labels
        self.state.memories = [
            ClusterMemory(initial, config.momentum, update, config.consistency_temperature).to(self.device)
            for update in UPDATES[config.sampling]
        ]
        self._batches = None

    def step(self) -> Measures:
        """Take the next step of the epoch: contrast a batch with the memories, then move the memories to it.

        Raises:
            Interrupted: a signal came; all is saved.
            RunError: the batch cannot be read, or the loss is not finite.
        """
        config, state = self.config, self.state
        groups, indices = self._next_batch()
        count, images = groups.images.shape[:2]
        position = (state.epoch, state.iteration)
        torch.manual_seed(torch_seed(config.seed, Purpose.NETWORK, *position, distributed.rank()))
        inputs = self._views.step(groups, *position)
        labels = torch.from_numpy(state.labels[indices]).to(self.device)
        measured: dict[str, Tensor] = {}
        if state.labeller:
            photos = inputs.unflatten(0, (count, images))[:, 0]
            loss = state.labeller.step(photos, labels, learning_rate(config, *position))
            measured = {"loss": loss, "l_q": loss}
        if not self._labelling:
            seen = None if self._seen is None else torch.from_numpy(self._seen[indices]).to(self.device)
            measured = self._learn(inputs, labels, seen)
        values = distributed.mean(torch.stack(list(measured.values())).detach()).tolist()
        if not np.isfinite(values).all():
            raise RunError(self._save_batch(groups, indices, values))
        measures = Measures(**dict(zip(measured, values, strict=True)))
        state.total, state.iteration = state.total + measures, state.iteration + 1
        return measures

    def _learn(self, inputs: Tensor, labels: Tensor, seen: Tensor | None) -> dict[str, Tensor]:
        """Step on groups and say what was measured.

        Args:
            inputs: the network's, (n x images, 3, h, w).
            labels: the groups' clusters, int64 (n,).
            seen: which clusters each is held against, bool (n, C); None for all.
        """
        config, state = self.config, self.state
        for group in state.optimiser.param_groups:
            group["lr"] = learning_rate(config, state.epoch, state.iteration)
        self._learner.train()
        features, feature_norm = self._learner(inputs)
        features = features.unflatten(0, (len(labels), -1))
        contrasted = (features if config.c_a else features[:, :1]).flatten(0, 1)
        each = len(contrasted) // len(labels)
        labels = labels.repeat_interleave(each)
        seen = None if seen is None else seen.repeat_interleave(each, 0)
        l_q = torch.stack([m.loss(contrasted, labels, config.temperature, seen) for m in state.memories]).mean()
        with_l_s = config.c_i and state.epoch + 1 >= config.consistency_from
        l_s = self_identity(features, config.consistency_temperature) if with_l_s else l_q.new_zeros(())
        loss = l_q + config.alpha * l_s
        state.optimiser.zero_grad()
        loss.backward()
        gradients = [p.grad for p in state.encoder.parameters() if p.grad is not None]
        gradient_norm = torch.nn.utils.get_total_norm(gradients)
        state.optimiser.step()

        gathered, gathered_labels = distributed.gather(contrasted.detach()), distributed.gather(labels)
        for memory in state.memories:
            memory.step(gathered, gathered_labels)

        lengths = {"gradient_norm": gradient_norm, "feature_norm": feature_norm}
        return {"loss": loss, "l_q": l_q, "l_s": l_s, **lengths}

    @property
    def _labelling(self) -> bool:
        """Whether the labeller learns alone as yet."""
        return self.state.epoch < self.config.labeller_epochs

    @property
    def _images(self) -> int:
        """How many images of each group are read."""
        return 1 if self._labelling else self.config.images

    def encode(self, encoder: Encoder) -> Tensor:
        """Give an encoder's features of all photos, the same on every process."""
        distributed.share_buffers(encoder)
        return encode_store(encoder, self.store, self.workers)

    def _initial_state(self) -> State:
        """Give the state of the newest checkpoint that is whole, or that of the start."""
        config = self.config
        content, damaged = self._run.load()
        encoder = self._make_encoder(Purpose.WEIGHTS, content is None)
        if config.backgrounds and not self._views.masked:
            self._opening.append(
                "backgrounds stay: the shards do not say where the people are, and photos of one place will look alike"
            )
        if config.camera_means and self._cameras is None:
            self._opening.append("cameras are not known of all photos, so their means stay in the features")
        if config.camera_negatives and self._cameras is None:
            self._opening.append("cameras are not known of all photos, so each is held against all clusters")
        # Weight decay is on everything, biases too.
        state = State(
            encoder,
            torch.optim.Adam(encoder.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True),
        )
        if config.labeller:
            second = self._make_encoder(Purpose.LABELLER, content is None)
            state.labeller = Labeller(second, config, make_learner(second))
        say = self._opening.append
        for line in damaged:
            say(f"{line}: {'going on from the one before' if content else 'training from the start'}")
        if content is None:
            say(describe(config, encoder))
            needed = memory_needed(len(self.store), encoder.dimensions, config.k1, config.k2, config.search)
            say(f"clustering {len(self.store):,} photos takes up to {needed / 2**30:.1f} GiB beside their features")
        else:
            state.restore(content, config)
            say(f"going on after {state.epoch} epochs{f' and {state.iteration} steps' if state.iteration else ''}")
        return state

    def _make_encoder(self, purpose: Purpose, new: bool) -> Encoder:
        """Make an encoder, with initial weights if it is new."""
        config = self.config
        torch.manual_seed(torch_seed(config.seed, purpose))
        encoder = make_encoder(config, None if new else "none", self.device)
        if purpose == Purpose.WEIGHTS:
            self._views = make_views(config, self.store, encoder.input, self.device)
        if new and config.backbone_weights == "none":
            self._calibrate(encoder, 1 if purpose == Purpose.LABELLER else config.images)
        if config.sync_bn:
            distributed.synchronised(encoder, self.device)
        return encoder

    def _calibrate(self, encoder: Encoder, images: int) -> None:
        """Give random weights their batch-norm statistics from random groups, augmented as in training."""
        config = self.config
        random = stream(config.seed, Purpose.CALIBRATION)
        photos = config.batch_clusters * config.batch_photos
        batches = random.integers(0, len(self.store), (_CALIBRATION_BATCHES, photos))
        groups = read_with_masks(self.store, batches, images, masked=self._views.masked)
        draws = (random.random((photos * images, DRAWS)) for _ in batches)
        calibrate(encoder, (self._views.view(some, drawn) for some, drawn in zip(groups, draws, strict=True)))

    def _finish_epoch(self) -> dict[str, float]:
        """Take what is left of an epoch's steps, and give the epoch's means."""
        config, state = self.config, self.state
        left, begun = max(config.iterations - state.iteration, 1), time.perf_counter()
        self._batches, self.seconds_waited = None, 0.0
        while state.iteration < config.iterations:
            self.step()
            self.observer.step(state.iteration, config.iterations, state.epoch + 1)
        self._batches = None
        seconds = {"data_seconds": self.seconds_waited, "step_seconds": time.perf_counter() - begun}
        return state.total.mean(config.iterations) | {name: taken / left for name, taken in seconds.items()}

    def _next_batch(self) -> Batch:
        """Wait for this process's part of the next batch; where a signal came or a shard broke, all processes stop."""
        asked = time.perf_counter()
        if self._batches is None:
            self._batches = self._read_epoch()
        groups, fault = None, None
        try:
            groups, indices = next(self._batches)
        except RunError as error:
            fault = error
        self.seconds_waited += time.perf_counter() - asked
        if distributed.any_rank(self._interrupted() or fault is not None, self.device) or groups is None:
            self._save()
            where = f"stopped and saved in epoch {self.state.epoch + 1}"
            raise distributed.first_found(fault) or Interrupted(f"{where}: repeat the same command to go on")
        return groups, indices

    def _read_epoch(self) -> Iterator[Batch]:
        """Read this process's part of the batches that are left of the epoch."""
        config, state = self.config, self.state
        random = stream(config.seed, Purpose.PLAN, state.epoch)
        cameras = self._cameras if config.camera_negatives else None
        self._seen = None if cameras is None else clusters_seen(state.labels, cameras)
        plan = plan_epoch(state.labels, config.batch_clusters, config.batch_photos, config.iterations, random)
        share = config.batch_clusters // distributed.world_size()
        mine = slice(distributed.rank() * share, (distributed.rank() + 1) * share)
        batches = plan[state.iteration :, mine].reshape(config.iterations - state.iteration, -1)
        pin = self.device.type == "cuda"
        groups = read_with_masks(self.store, batches, self._images, self.workers, pin, self._views.masked)
        return zip(groups, batches, strict=True)

    def _validate(self) -> dict[str, float]:
        """Rate the encoder on the validation people, where the observer can, and keep the best one."""
        state = self.state
        measures = self.observer.validate(state.encoder)
        score = measures.get("score")
        if score is not None and (state.best is None or score > state.best):
            state.best = score
            self._run.save_best(state.content())
        return measures

    def _save(self) -> None:
        """Write a checkpoint; the other processes wait for it, and for whatever rank 0 did before it."""
        if distributed.rank() == 0:
            self._run.save(self.state.content(), self.state.epoch, self.state.iteration)
        distributed.wait_for_first()

    def _save_batch(self, groups: Groups, indices: np.ndarray, values: list[float]) -> str:
        """Keep the batch whose loss is not finite, and say where."""
        path = self._run.folder / f"bad-batch-{distributed.rank()}.pt"
        torch.save({"groups": groups.images, "photos": torch.from_numpy(indices), "measures": values}, path)
        where = f"epoch {self.state.epoch + 1}, step {self.state.iteration + 1}"
        return f"the loss is not finite in {where}: the batch is in {path}; try a lower learning rate or float32"


def _check(config: Config, store: SyncStore) -> None:
    """Refuse settings that these shards or this number of processes cannot serve."""
    if config.images > 1 + store.versions:
        raise InputError(f"versions is {config.versions}, but the shards hold {store.versions}: give at most that many")
    world = distributed.world_size()
    if config.batch_clusters % world:
        raise InputError(f"batch_clusters is {config.batch_clusters}: give a multiple of the {world} processes")


def _label(features: Tensor, epoch: int, config: Config) -> np.ndarray:
    """Give pseudo labels, int64 (N,), of two clusters at least; RunError where there are fewer."""
    labels = pseudo_labels(features, config.eps, config.min_samples, config.k1, config.k2, config.search)
    clusters = int(labels.max(initial=-1)) + 1
    if clusters >= 2:
        return labels
    if epoch < config.instance_epochs:
        return np.arange(len(labels))
    why = advice(features, config.eps, config.min_samples, config.k1, config.k2, config.search)
    where = f"epoch {epoch + 1} has nothing to contrast"
    raise RunError(f"{where}: {why} (or --instance-epochs to start without clusters)")


def _cluster_sizes(labels: np.ndarray) -> dict[str, float]:
    counts = np.bincount(labels[labels >= 0])
    return {"clusters": len(counts), "outliers": int((labels < 0).sum()), "largest": int(counts.max(initial=0))}
