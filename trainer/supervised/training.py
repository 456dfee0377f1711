"""The training of a supervised method: batches of people's photos, its losses, Adam; it can be stopped and goes on."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from data.benchmark import Benchmark
from data.lock import locked
from data.photo import name_below, photos_digest
from data.runtime.errors import InputError, Interrupted, RunError
from data.runtime.files import write_lines
from data.runtime.logs import get_logger, log_to_folder
from data.runtime.places import RUNS
from data.runtime.progress import progress
from data.runtime.signals import deferred_interrupts
from trainer import runs
from trainer.baselines import LOMO, BaselineConfig
from trainer.batches import DRAWS, augment, augment_joints, augment_labels, plan_epoch
from trainer.encoder import describe, make_encoder
from trainer.randomness import Purpose, stream, torch_seed
from trainer.runs import Run
from trainer.supervised.batches import Batch, Pixels, read_batches
from trainer.supervised.labels import LabelledPhotos, labelled_photos
from trainer.supervised.methods import OBJECTIVES, fit_lomo

_DECAYS = (1 / 3, 2 / 3)
"""Shares of the training after which the learning rate falls to a tenth: 20 and 40 of CAL's 60 epochs."""

_log = get_logger(__name__)


def learning_rate(config: BaselineConfig, epoch: int, iteration: int) -> float:
    """Give the rate of a step: linear growth over the warm-up's epochs, a tenth after each third; both count from 0."""
    steps = config.warmup * config.iterations
    done = epoch * config.iterations + iteration + 1
    grown = min(1.0, done / steps) if steps else 1.0
    return config.lr * grown * 0.1 ** sum(epoch >= share * config.epochs for share in _DECAYS)


def train_baseline(
    config: BaselineConfig, benchmark: Benchmark, name: str | None, device: torch.device, workers: int
) -> None:
    """Train a supervised method to its end, or say that it is finished.

    Args:
        config: the settings.
        benchmark: whose training photos and labels it learns from.
        name: of the run; by default from the data set, the method and the seed.
        device: what computes.
        workers: processes that read ahead.

    Raises:
        InputError: the data set lacks what the method needs, or the run is another's.
        Interrupted: a signal came; all is saved.
        RunError: another training is at work on the run, or the loss is not finite.
    """
    photos = labelled_photos(benchmark)
    run = Run(RUNS / (name or f"{benchmark.name}-{config.method}-{config.seed}"))
    runs.check_baseline(run, config, benchmark)
    if run.finished:
        _log.info(f"run {run.name} is finished ({run.folder}): evaluate it, or give another run name or seed")
        return
    training = None if config.method in LOMO else BaselineTraining(config, photos, run, device, workers)
    run.folder.mkdir(parents=True, exist_ok=True)
    with locked(run.folder, "training"), log_to_folder(run.folder):
        runs.start_baseline(run, config, benchmark, device)
        _log.info(
            f"run {run.name}: {config.method} on {len(photos):,} photos of {photos.people.max() + 1:,} people of"
            f" {benchmark.name}, settings {config.digest}, {device}"
        )
        if run.facts.get("training_photos") is None:
            run.note(training_photos=_photos_digest(benchmark))
        if training is None:
            encoder = fit_lomo(config, photos, device, workers)
            run.save({"encoder": encoder.state_dict(), "epoch": 1, "history": []}, 1, 0)
            _log.info(f"a metric of {encoder.dimensions - 1} dimensions")
        else:
            training.run()
        runs.finish(run)
        _log.info(f"run {run.name} is finished: {run.folder}")


class BaselineTraining:
    """A training, from where the run's newest checkpoint is.

    Args:
        config: all settings.
        photos: what is learnt from.
        run: where checkpoints are read and written.
        device: what computes.
        workers: processes that read ahead; 0 reads in this one.

    Raises:
        InputError: the photos lack what the method needs, or the backbone cannot be made.
    """

    def __init__(
        self, config: BaselineConfig, photos: LabelledPhotos, run: Run, device: torch.device, workers: int = 0
    ) -> None:
        self.config, self.photos, self._run, self.device, self.workers = config, photos, run, device, workers
        torch.manual_seed(torch_seed(config.seed, Purpose.WEIGHTS))
        content, self._opening = run.load()
        self.encoder = make_encoder(config, "none" if content else None, device)
        self.objective = OBJECTIVES[config.method](self.encoder, photos).to(device)
        self.optimiser = torch.optim.Adam(
            [*self.encoder.parameters(), *self.objective.parameters()],
            lr=config.lr,
            weight_decay=config.weight_decay,
            fused=True,
        )
        self.epoch = self.iteration = 0
        self.sums: dict[str, float] = {}
        self.history: list[dict[str, float]] = []
        if content is None:
            self._opening.append(describe(config, self.encoder))
        else:
            self._restore(content)
            steps = f" and {self.iteration} steps" if self.iteration else ""
            self._opening.append(f"going on after {self.epoch} epochs{steps}")

    def run(self) -> None:
        """Train to the last epoch; Ctrl-C and SIGTERM end it after the step in hand, with a checkpoint.

        Raises:
            Interrupted: a signal came.
            InputError: a photo or its annotation cannot be read; what was learnt before is saved.
            RunError: the loss is not finite, or a reading process died.
        """
        config = self.config
        while self._opening:
            _log.info(self._opening.pop(0))
        while self.epoch < config.epochs:
            begun, left = time.perf_counter(), config.iterations - self.iteration
            batches = self._read_epoch()
            shown = progress(f"epoch {self.epoch + 1}", config.iterations, "steps", self.iteration)
            with deferred_interrupts() as interrupted, shown as bar:
                while self.iteration < config.iterations:
                    if interrupted():
                        self._save()
                        where = f"stopped and saved in epoch {self.epoch + 1}"
                        raise Interrupted(f"{where}: repeat the same command to go on")
                    try:
                        pixels, indices = next(batches)
                    except (InputError, RunError):
                        self._save()
                        raise
                    self.step(pixels, indices)
                    bar.advance()
                self._end_epoch((time.perf_counter() - begun) / left)

    def step(self, pixels: Pixels, indices: np.ndarray) -> dict[str, float]:
        """Take a step with these photos, and give its losses by name.

        Args:
            pixels: the photos, and their pose and parsing where the method asks for them.
            indices: their numbers, int64 (B,).

        Raises:
            RunError: a loss is not finite.
        """
        config = self.config
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(config, self.epoch, self.iteration)
        self.encoder.train()
        self.objective.train()
        losses = self.objective(self.encoder, self._batch(pixels, indices))
        loss = torch.stack(list(losses.values())).sum()
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        values = {"loss": loss.item(), **{name: value.item() for name, value in losses.items()}}
        if not np.isfinite(list(values.values())).all():
            where = f"epoch {self.epoch + 1}, step {self.iteration + 1}"
            raise RunError(f"the loss is not finite in {where}: try a lower learning rate or float32")
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.iteration += 1
        return values

    def _batch(self, pixels: Pixels, indices: np.ndarray) -> Batch:
        """Crop and flip photos on the device, each by draws of its own, and put their labels beside them."""
        config, photos = self.config, self.photos
        images, parsing, joints = (part.to(self.device, non_blocking=True) for part in pixels)
        random = stream(config.seed, Purpose.AUGMENTATION, self.epoch, self.iteration)
        draws = torch.from_numpy(random.random((len(indices), DRAWS)))
        window = (self.encoder.input, config.crop, config.flip)
        clothes = torch.empty(0, dtype=torch.int64)
        return Batch(
            images=augment(images, draws, *window),
            people=torch.from_numpy(photos.people[indices]).to(self.device),
            clothes=(clothes if photos.clothes is None else torch.from_numpy(photos.clothes[indices])).to(self.device),
            parsing=augment_labels(parsing, draws, *window) if len(parsing) else parsing,
            joints=augment_joints(joints, draws, config.crop, config.flip) if len(joints) else joints,
            random=random,
            progress=self.epoch / config.epochs,
        )

    def _read_epoch(self) -> Iterator[tuple[Pixels, np.ndarray]]:
        """Read the batches that are left of the epoch."""
        config = self.config
        random = stream(config.seed, Purpose.PLAN, self.epoch)
        plan = plan_epoch(self.photos.people, config.batch_people, config.batch_photos, config.iterations, random)
        batches = plan[self.iteration :].reshape(config.iterations - self.iteration, -1)
        size, pin = (config.height, config.width), self.device.type == "cuda"
        pixels = read_batches(self.photos, batches, size, self.objective.annotated, self.workers, pin)
        return zip(pixels, batches, strict=True)

    def _end_epoch(self, seconds: float) -> None:
        """Write and say what the epoch's steps measured, and save; `seconds` is the time of a step."""
        config = self.config
        means = {name: total / config.iterations for name, total in self.sums.items()}
        self.epoch, self.iteration, self.sums = self.epoch + 1, 0, {}
        self.history.append({"epoch": self.epoch, **means, "step_seconds": seconds})
        write_lines(self._run.folder / "metrics.jsonl", [json.dumps(record) for record in self.history])
        parts = ", ".join(f"{name} {value:.3f}" for name, value in means.items() if name != "loss")
        shown = f"loss {means['loss']:.3f} ({parts})  |  step {1000 * seconds:.0f} ms"
        _log.info(f"epoch {self.epoch}/{config.epochs}  |  {shown}")
        self._save()

    def _save(self) -> None:
        content = {
            "encoder": self.encoder.state_dict(),
            "objective": self.objective.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "epoch": self.epoch,
            "iteration": self.iteration,
            "sums": self.sums,
            "history": self.history,
        }
        self._run.save(content, self.epoch, self.iteration)

    def _restore(self, content: dict[str, Any]) -> None:
        self.encoder.load_state_dict(content["encoder"])
        self.objective.load_state_dict(content["objective"])
        self.optimiser.load_state_dict(content["optimiser"])
        self.epoch, self.iteration = content["epoch"], content["iteration"]
        self.sums, self.history = content["sums"], content["history"]


def _photos_digest(benchmark: Benchmark) -> str | None:
    """Say which photos are trained on, as evaluations compare it."""
    return photos_digest(benchmark.root, (name_below(record.path, benchmark.root) for record in benchmark.train))
