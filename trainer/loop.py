"""The training loop (Algorithm 1): cluster, contrast, step the memories; it sees shards and no labels."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from data.runtime.allocator import give_freed_memory_back
from data.runtime.errors import InputError, Interrupted, RunError
from data.shards import SyncStore
from trainer.batches.augment import DRAWS, augment
from trainer.batches.groups import plan_epoch, read_groups
from trainer.clustering.advice import advice
from trainer.clustering.labels import memory_needed, pseudo_labels
from trainer.config import Config
from trainer.distributed import processes as distributed
from trainer.distributed.batch_norm import synchronised
from trainer.encoder.encoder import Encoder, calibrate, make_encoder
from trainer.encoder.features import autocast, encode_store, memory_format
from trainer.losses import self_identity
from trainer.memory import ClusterMemory
from trainer.method import UPDATES
from trainer.randomness import Purpose, generator, torch_seed
from trainer.runs import Run

MEASURES = ("loss", "L_q", "L_s", "gradient_norm", "feature_norm")


class Observer(Protocol):
    """What may look at a training and never changes it: logs, and whoever knows the labels."""

    def say(self, line: str) -> None:
        """Take a line for the user."""

    def step(self, done: int, of: int, epoch: int) -> None:
        """Take note of a step."""

    def clusters(self, labels: np.ndarray) -> dict[str, float]:
        """Rate pseudo labels, int64 (N,), for the record."""

    def validate(self, encoder: nn.Module) -> dict[str, float]:
        """Rate an encoder on people who are not trained on; `score` is what the best one has most of."""

    def epoch(self, history: list[dict[str, float]], labels: np.ndarray) -> None:
        """Take the figures of every epoch so far, the last one new, and its pseudo labels, int64 (N,)."""


@dataclass
class State:
    """All that a checkpoint holds beside the settings."""

    encoder: Encoder
    optimiser: torch.optim.Optimizer
    epoch: int = 0
    iteration: int = 0
    labels: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    memories: list[ClusterMemory] = field(default_factory=list)
    sums: list[float] = field(default_factory=lambda: [0.0] * len(MEASURES))
    best: float | None = None
    history: list[dict[str, float]] = field(default_factory=list)

    def content(self) -> dict[str, Any]:
        """Tensors and plain values, for torch.save."""
        return {
            "encoder": self.encoder.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "epoch": self.epoch,
            "iteration": self.iteration,
            "labels": torch.from_numpy(self.labels),
            "memories": [memory.features for memory in self.memories],
            "sums": self.sums,
            "best": self.best,
            "history": self.history,
        }

    def restore(self, content: dict[str, Any], config: Config, device: torch.device) -> None:
        """Take over what content() gave."""
        self.encoder.load_state_dict(content["encoder"])
        self.optimiser.load_state_dict(content["optimiser"])
        self.epoch, self.iteration = content["epoch"], content["iteration"]
        self.labels = content["labels"].numpy()
        self.sums, self.best, self.history = content["sums"], content["best"], content["history"]
        self.memories = []
        for features, update in zip(content["memories"], UPDATES[config.sampling], strict=False):
            memory = ClusterMemory(features, config.momentum, update)
            memory.load_state_dict({"features": features})  # Bit for bit: the constructor scales to unit length again.
            self.memories.append(memory.to(device))


def learning_rate(config: Config, epoch: int, iteration: int) -> float:
    """The rate of a step: linear growth over the warm-up's epochs, step by step, then constant. Both count from 0."""
    steps = config.warmup * config.iterations
    done = epoch * config.iterations + iteration + 1
    return config.lr * min(1.0, done / steps) if steps else config.lr


def train(
    config: Config, store: SyncStore, run: Run, device: torch.device, observer: Observer, workers: int = 0
) -> None:
    """Train on a store's groups from where the run's newest checkpoint is to the last epoch.

    Ctrl-C and SIGTERM end it after the step in hand with a checkpoint and raise Interrupted. Raises RunError where the
    loss is not finite (the batch is saved), where clustering finds fewer than two clusters, and where a shard cannot be
    read.
    """
    _check(config, store)
    if config.deterministic:  # What cuBLAS asks for; it is read when a GPU first multiplies.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cudnn.benchmark = not config.deterministic
    torch.use_deterministic_algorithms(config.deterministic)
    state = _initial(config, store, run, device, observer)
    encoder: nn.Module = state.encoder
    if config.compile:
        state.encoder.body.compile()
    if distributed.world_size() > 1:
        encoder = DistributedDataParallel(state.encoder, [device] if device.type == "cuda" else None)
    while state.epoch < config.epochs:
        begun = time.perf_counter()
        if state.iteration == 0:
            _cluster(state, config, store, device, observer, workers)
        clustered = time.perf_counter()
        with _deferred_signals() as stop:
            figures = _steps(state, encoder, config, store, run, device, observer, workers, stop)
            figures |= _cluster_figures(state.labels) | observer.clusters(state.labels)
            figures |= {"eps": config.eps, "cluster_seconds": clustered - begun}
            figures |= {"lr": learning_rate(config, state.epoch, config.iterations - 1)}
            state.epoch, state.iteration, state.sums = state.epoch + 1, 0, [0.0] * len(MEASURES)
            if config.validate_every and (state.epoch % config.validate_every == 0 or state.epoch == config.epochs):
                figures |= _validate(state, run, observer)
            state.history.append({"epoch": state.epoch, **figures})
            observer.epoch(state.history, state.labels)
            _save(state, run)
            if distributed.any_rank(stop(), device) and state.epoch < config.epochs:
                raise Interrupted(f"stopped and saved after epoch {state.epoch}: repeat the same command to go on")


def make_optimiser(encoder: nn.Module, config: Config) -> torch.optim.Optimizer:
    """Adam with weight decay on everything, biases too, in one fused kernel."""
    return torch.optim.Adam(encoder.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True)


def _check(config: Config, store: SyncStore) -> None:
    """Refuse settings that these shards or this number of processes cannot serve."""
    if config.images > 1 + store.versions:
        raise InputError(f"versions is {config.versions}, but the shards hold {store.versions}: give at most that many")
    world = distributed.world_size()
    if config.batch_clusters % world:
        raise InputError(f"batch_clusters is {config.batch_clusters}: give a multiple of the {world} processes")


def _initial(config: Config, store: SyncStore, run: Run, device: torch.device, observer: Observer) -> State:
    """The encoder and optimiser, from the newest checkpoint that is whole or from the start."""
    torch.manual_seed(torch_seed(config.seed, Purpose.WEIGHTS))
    content, damaged = run.load()
    weights = "none" if content else config.backbone_weights
    encoder, origin = make_encoder(config.backbone, weights, config.last_stride, (config.height, config.width))
    encoder.to(device).to(memory_format=memory_format(config.channels_last))
    if content is None and config.backbone_weights == "none":
        _calibrate(encoder, config, store, device)
    if config.sync_bn:
        synchronised(encoder, device)
    state = State(encoder, make_optimiser(encoder, config))
    for line in damaged:
        observer.say(f"{line}: going on from the one before")
    if content is None:
        observer.say(origin)
        needed = memory_needed(len(store), encoder.width, config.k1, config.k2, config.search)
        observer.say(f"clustering {len(store):,} photos takes up to {needed / 2**30:.1f} GiB beside their features")
    else:
        state.restore(content, config, device)
        where = f" and {state.iteration} steps" if state.iteration else ""
        observer.say(f"going on after {state.epoch} epochs{where}")
    return state


def _calibrate(encoder: Encoder, config: Config, store: SyncStore, device: torch.device) -> None:
    """Give random weights their batch-norm statistics from random groups, augmented as in training."""
    random = generator(config.seed, Purpose.CALIBRATION)
    photos = config.batch_clusters * config.batch_photos
    batches = random.integers(0, len(store), (config.calibration_batches, photos))
    images = (
        _images(groups.flatten(0, 1), random.random((groups[:, :, 0, 0, 0].numel(), DRAWS)), config, device)
        for groups in read_groups(store, batches, config.images)
    )
    with autocast(device, config.precision):
        calibrate(encoder, images)


def _cluster(
    state: State, config: Config, store: SyncStore, device: torch.device, observer: Observer, workers: int
) -> None:
    """Give the epoch its pseudo labels and memories, the same on every process."""
    distributed.share_buffers(state.encoder)
    features = encode_store(
        state.encoder,
        store,
        (config.height, config.width),
        device,
        config.precision,
        config.channels_last,
        workers,
    )
    # Clustering first looks how much memory the system has left; what the encoder has just freed counts as well.
    give_freed_memory_back()
    labels, problem = distributed.from_first(_label(features, state.epoch, config) if distributed.rank() == 0 else None)
    if problem:
        raise RunError(problem)
    state.labels = labels
    random = generator(config.seed, Purpose.MEMORY, state.epoch)
    shuffled = random.permutation(len(labels))
    clusters, first = np.unique(labels[shuffled], return_index=True)
    members = torch.from_numpy(shuffled[first[clusters >= 0]]).to(device)
    state.memories = [
        ClusterMemory(features[members], config.momentum, update).to(device) for update in UPDATES[config.sampling]
    ]


def _label(features: Tensor, epoch: int, config: Config) -> tuple[np.ndarray, str | None]:
    """Pseudo labels, int64 (N,), and what is wrong with them, if anything."""
    labels = pseudo_labels(features, config.eps, config.min_samples, config.k1, config.k2, config.search)
    clusters = int(labels.max(initial=-1)) + 1
    if clusters >= 2:
        return labels, None
    if epoch < config.instance_epochs:
        return np.arange(len(labels)), None
    why = advice(features, config.eps, config.min_samples, config.k1, config.k2, config.search)
    return labels, f"epoch {epoch + 1} has nothing to contrast: {why} (or --instance-epochs to start without clusters)"


def _steps(
    state: State,
    encoder: nn.Module,
    config: Config,
    store: SyncStore,
    run: Run,
    device: torch.device,
    observer: Observer,
    workers: int,
    stop: Callable[[], bool],
) -> dict[str, float]:
    """Take what is left of an epoch's steps; the epoch's mean figures."""
    random = generator(config.seed, Purpose.PLAN, state.epoch)
    plan = plan_epoch(state.labels, config.batch_clusters, config.batch_photos, config.iterations, random)
    share = config.batch_clusters // distributed.world_size()
    mine = slice(distributed.rank() * share, (distributed.rank() + 1) * share)
    batches = plan[state.iteration :, mine].reshape(config.iterations - state.iteration, -1)
    reader = iter(read_groups(store, batches, config.images, workers, pin=device.type == "cuda"))
    waited, taken, begun = 0.0, 0, time.perf_counter()
    for indices in batches:
        asked = time.perf_counter()
        groups, fault = _next(reader)
        waited += time.perf_counter() - asked
        if distributed.any_rank(stop() or fault is not None, device):
            _save(state, run)
            raise fault or Interrupted(
                f"stopped and saved in epoch {state.epoch + 1}: repeat the same command to go on"
            )
        measures = _step(state, encoder, config, groups, state.labels[indices], device)
        values = distributed.mean(measures).tolist()
        if not np.isfinite(values).all():
            raise RunError(_save_batch(run, state, groups, indices, values))
        state.sums = [total + value for total, value in zip(state.sums, values, strict=True)]
        state.iteration, taken = state.iteration + 1, taken + 1
        observer.step(state.iteration, config.iterations, state.epoch + 1)
    means = {name: total / config.iterations for name, total in zip(MEASURES, state.sums, strict=True)}
    each = (time.perf_counter() - begun) / max(taken, 1)
    return means | {"data_seconds": waited / max(taken, 1), "step_seconds": each}


def _next(reader: Iterator[Tensor]) -> tuple[Tensor, RunError | None]:
    """The next batch, or what keeps it from being read."""
    try:
        return next(reader), None
    except RunError as error:
        return torch.empty(0), error


def _step(
    state: State, encoder: nn.Module, config: Config, groups: Tensor, labels: np.ndarray, device: torch.device
) -> Tensor:
    """One step on groups, uint8 (n, images, H, W, 3), of clusters labels (n,): its MEASURES, float32 (5,)."""
    count, images = groups.shape[:2]
    position = (state.epoch, state.iteration)
    # Drawn for the whole batch by every process, so that a photo's crop does not depend on how many there are.
    draws = generator(config.seed, Purpose.AUGMENTATION, *position).random(
        (distributed.world_size(), count * images, DRAWS)
    )[distributed.rank()]
    torch.manual_seed(torch_seed(config.seed, Purpose.NETWORK, *position, distributed.rank()))
    for group in state.optimiser.param_groups:
        group["lr"] = learning_rate(config, *position)

    encoder.train()
    with autocast(device, config.precision):
        features = encoder(_images(groups.flatten(0, 1), draws, config, device))
    features = features.unflatten(0, (count, images))
    contrasted = (features if config.c_a else features[:, :1]).flatten(0, 1)
    targets = torch.from_numpy(labels).to(device).repeat_interleave(len(contrasted) // count)
    l_q = torch.stack([m.loss(contrasted, targets, config.temperature) for m in state.memories]).mean()
    with_l_s = config.c_i and state.epoch + 1 >= config.consistency_from
    l_s = self_identity(features, config.consistency_temperature) if with_l_s else l_q.new_zeros(())
    loss = l_q + config.alpha * l_s
    state.optimiser.zero_grad()
    loss.backward()
    gradient = torch.nn.utils.get_total_norm([p.grad for p in encoder.parameters() if p.grad is not None])
    state.optimiser.step()

    gathered, gathered_targets = distributed.gather(contrasted.detach()), distributed.gather(targets)
    for memory in state.memories:
        memory.step(gathered, gathered_targets)
    return torch.stack([loss, l_q, l_s, gradient, state.encoder.feature_norm]).detach()


def _images(images: Tensor, draws: np.ndarray, config: Config, device: torch.device) -> Tensor:
    """uint8 (B, H, W, 3) → the encoder's input, augmented on the device."""
    moved = images.to(device, non_blocking=True)
    size, layout = (config.height, config.width), memory_format(config.channels_last)
    return augment(moved, torch.from_numpy(draws), size, config.crop, config.flip, layout)


def _validate(state: State, run: Run, observer: Observer) -> dict[str, float]:
    """Rate the encoder on the validation people, where the observer can, and keep the best one."""
    figures = observer.validate(state.encoder)
    score = figures.get("score")
    if score is not None and (state.best is None or score > state.best):
        state.best = score
        run.save_best(state.content())
    return figures


def _cluster_figures(labels: np.ndarray) -> dict[str, float]:
    counts = np.bincount(labels[labels >= 0])
    return {"clusters": len(counts), "outliers": int((labels < 0).sum()), "largest": int(counts.max(initial=0))}


def _save(state: State, run: Run) -> None:
    if distributed.rank() == 0:
        run.save(state.content(), state.epoch, state.iteration)


def _save_batch(run: Run, state: State, groups: Tensor, indices: np.ndarray, values: list[float]) -> str:
    """Keep the batch whose loss is not finite, and say where."""
    path = run.folder / f"bad-batch-{distributed.rank()}.pt"
    torch.save({"groups": groups, "photos": torch.from_numpy(indices), "measures": values}, path)
    where = f"epoch {state.epoch + 1}, step {state.iteration + 1}"
    return f"the loss is not finite in {where}: the batch is in {path}; try a lower learning rate or float32"


@contextmanager
def _deferred_signals() -> Iterator[Callable[[], bool]]:
    """Ctrl-C and SIGTERM wait for the end of the step: what is given says whether one came. A second one acts."""
    came: list[int] = []
    previous: dict[int, Any] = {}

    def note(number: int, _frame: FrameType | None) -> None:
        came.append(number)
        signal.signal(number, previous[number])

    for kind in (signal.SIGINT, signal.SIGTERM):
        previous[kind] = signal.signal(kind, note)
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
