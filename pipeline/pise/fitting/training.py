"""Training: a generator fitted to examples by an objective and a discriminator, step by step, resumable."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from data.runtime.errors import Interrupted, RunError
from data.runtime.files import writing
from data.runtime.logs import get_logger, log_to_folder
from data.runtime.progress import progress
from data.runtime.signals import deferred_interrupts
from pipeline.pise.checkpoint import save_generator
from pipeline.pise.fitting.batch import Batch
from pipeline.pise.fitting.discriminator import Discriminator
from pipeline.pise.fitting.objectives import Exact, Objective
from pipeline.pise.fitting.samples import write_samples
from pipeline.pise.fitting.settings import PiseSettings
from pipeline.pise.model.generator import Generator

CHECKPOINT = "checkpoint.pt"
SHEET = "samples.png"
WEIGHTS = "generator.safetensors"
METRICS = "metrics.jsonl"

# Found by trying on rendered people.
_WARM_UP = 200  # steps
_LAST_RATE = 0.02  # of the learning rate, at the end
_BETAS = (0.5, 0.99)  # of Adam: a short memory of gradients, as is usual where two networks play against each other
_LARGEST_GRADIENT = 1.0  # its norm; larger ones are scaled down

_log = get_logger(__name__)


class Examples(Protocol):
    """What batches are drawn from."""

    def draw(self, rng: np.random.Generator, count: int) -> Batch:
        """Draw a batch to learn from; `rng` decides it."""

    def samples(self, rng: np.random.Generator, count: int) -> Batch:
        """Draw a batch to look at."""


class Fit:
    """A generator while it is fitted, with its running average, its discriminator and the optimisers of both.

    Args:
        settings: what decides the result, besides the examples; the seed draws the first weights.
        objective: what a painting is held against.
        device: where to compute, in bfloat16 but for the losses.
        start: a generator as wide whose weights it starts from.
    """

    def __init__(
        self, settings: PiseSettings, objective: Objective, device: torch.device, start: Generator | None = None
    ) -> None:
        torch.manual_seed(settings.seed)
        size = (settings.height, settings.width)
        generator = Generator(settings.channels, size=size, reshapes=settings.reshapes, backdrop=settings.backdrop).to(
            device
        )
        if start:
            generator.load_state_dict(start.state_dict())
        _use_instance_norm(generator)
        self.settings = settings
        self.objective = objective
        self.generator = generator
        self.discriminator = Discriminator(settings.discriminator_channels).to(device)
        self.average = AveragedModel(
            generator, multi_avg_fn=get_ema_multi_avg_fn(settings.average_decay), use_buffers=True
        )
        self.optimiser = torch.optim.Adam(generator.parameters(), settings.learning_rate, _BETAS)
        self.opponent = torch.optim.Adam(self.discriminator.parameters(), settings.learning_rate, _BETAS)

    @property
    def averaged(self) -> Generator:
        """The generator whose weights are running means: the one that is kept."""
        return cast(Generator, self.average.module)

    def step(self, batch: Batch, step: int) -> dict[str, float]:
        """Take one step of both players (hinge loss: Lim and Ye 2017); returns the values of the losses.

        Raises:
            RunError: a loss is not finite.
        """
        for group in (*self.optimiser.param_groups, *self.opponent.param_groups):
            group["lr"] = learning_rate(self.settings, step)
        attempt = self.objective(self.generator, batch, step)
        loss, values = attempt.loss, attempt.values
        adversarial = step >= self.settings.coarse_steps
        if adversarial:
            self.discriminator.requires_grad_(False)
            values["fooled"] = -self.discriminator(attempt.painted, attempt.parsing).mean()
            self.discriminator.requires_grad_(True)
            loss = loss + self.settings.adversarial_weight * values["fooled"]
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.generator.parameters(), _LARGEST_GRADIENT)
        self.optimiser.step()
        if adversarial:
            values["discriminator"] = self._judge(batch, attempt.painted.detach(), attempt.parsing)
        self.average.update_parameters(self.generator)
        losses = {name: value.item() for name, value in values.items()}
        if not all(map(math.isfinite, losses.values())):
            raise RunError(f"the loss is not finite at step {step}: lower the learning rate, start in a new folder")
        return losses

    def _judge(self, batch: Batch, painted: torch.Tensor, parsing: torch.Tensor) -> torch.Tensor:
        """The discriminator's own step: true pictures above 1, painted ones below -1. Returns its loss."""
        real = self.discriminator(batch.target, batch.target_parsing)
        fake = self.discriminator(painted, parsing)
        loss = functional.relu(1 - real).mean() + functional.relu(1 + fake).mean()
        self.opponent.zero_grad()
        loss.backward()
        self.opponent.step()
        return loss

    def save(self, file: Path, step: int) -> None:
        """Write all that is needed to go on from a step."""
        state = {name: part.state_dict() for name, part in self._parts().items()}
        with writing(file) as checkpoint:
            torch.save({**state, "settings": asdict(self.settings), "step": step}, checkpoint)

    def restore(self, file: Path) -> int:
        """Load a checkpoint if there is one; returns the step to go on from.

        Raises:
            RunError: it is damaged, or of other settings.
        """
        if not file.exists():
            return 0
        try:
            state = torch.load(file, weights_only=True, map_location="cpu")
            trained, step = state["settings"], int(state["step"])
        except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, TypeError) as error:
            raise RunError(f"{file} is damaged: remove it to start anew") from error
        if trained != asdict(self.settings):
            raise RunError(
                f"{file} is of a run with other settings or of an older version: remove it or choose another folder"
            )
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        return step

    def _parts(self) -> dict[str, Any]:
        names = ("generator", "discriminator", "average", "optimiser", "opponent")
        return {name: getattr(self, name) for name in names}


def train_generator(
    make_examples: Callable[[], Examples],
    settings: PiseSettings,
    folder: Path,
    device: torch.device,
    every: int = 250,
    objective: Objective | None = None,
    start: Generator | None = None,
) -> Path:
    """Fit a generator and write its weights; goes on from the folder's checkpoint if there is one.

    Every `every` steps a checkpoint and a sheet of samples are written and a line is added to the metrics. On Ctrl-C or
    SIGTERM the step is ended and a checkpoint written; a run so interrupted ends, on a CPU, with the very weights of an
    uninterrupted one.

    Args:
        make_examples: called when the folder's checkpoint has been found to fit, if there are steps left to take.
        settings: what decides the result, besides the examples.
        folder: of everything that is written.
        device: where to compute, in bfloat16 but for the losses.
        every: steps between two checkpoints.
        objective: by default `Exact` by the settings.
        start: a generator as wide whose weights are gone on from; by default weights are drawn.

    Returns:
        The weights' file.

    Raises:
        RunError: the loss is not finite, or the checkpoint is damaged or of other settings.
        Interrupted: on an interrupt, after saving.
    """
    folder.mkdir(parents=True, exist_ok=True)
    fit = Fit(settings, objective or exact(settings), device, start)
    first = fit.restore(folder / CHECKPOINT)
    if first < settings.steps:
        examples = make_examples()
        with log_to_folder(folder):
            _take_steps(fit, examples, folder, device, first, every)
        fit.save(folder / CHECKPOINT, settings.steps)
        write_samples(folder / SHEET, fit.averaged, draw_samples(examples, settings, device))
    save_generator(fit.averaged, folder / WEIGHTS)
    return folder / WEIGHTS


def _take_steps(fit: Fit, examples: Examples, folder: Path, device: torch.device, first: int, every: int) -> None:
    """Take all steps from `first` on, with a checkpoint, samples and metrics every so many."""
    settings, history = fit.settings, list[dict[str, float]]()
    with deferred_interrupts() as interrupted, progress("fitting", settings.steps, "steps", done=first) as shown:
        for step in range(first, settings.steps):
            history.append(fit.step(draw_batch(examples, settings, step, device), step))
            shown.advance()
            if (step + 1) % every == 0:
                _note(folder / METRICS, settings, step + 1, history)
                history.clear()
                fit.save(folder / CHECKPOINT, step + 1)
                write_samples(folder / SHEET, fit.averaged, draw_samples(examples, settings, device))
            if interrupted():
                fit.save(folder / CHECKPOINT, step + 1)
                raise Interrupted(
                    f"stopped after step {step + 1} of {settings.steps}: the same command goes on from there"
                )


def _note(file: Path, settings: PiseSettings, step: int, history: list[dict[str, float]]) -> None:
    """Add the mean losses of some steps to the metrics, and say them."""
    means = {name: sum(losses.get(name, 0.0) for losses in history) / len(history) for name in history[-1]}
    with file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps({"step": step, **means}) + "\n")
    _log.info(f"pise step {step}/{settings.steps} " + " ".join(f"{name} {value:.4f}" for name, value in means.items()))


def learning_rate(settings: PiseSettings, step: int) -> float:
    """Fall along half a cosine from the settings' learning rate to 2 % of it, after 200 steps of warm-up."""
    falling = _LAST_RATE + (1 - _LAST_RATE) * (1 + math.cos(math.pi * step / settings.steps)) / 2
    return settings.learning_rate * min(1.0, (step + 1) / _WARM_UP) * falling


def exact(settings: PiseSettings) -> Exact:
    """Make the objective for paintings whose target is known."""
    return Exact(settings.clothes_weight, settings.chroma_weight, settings.chroma_from)


def draw_batch(examples: Examples, settings: PiseSettings, step: int, device: torch.device) -> Batch:
    """Draw the batch of a step; it depends on the seed and the step alone, so that a resumed run sees the same ones."""
    batch = examples.draw(np.random.default_rng((settings.seed, step + 1)), settings.batch).to(device)
    return batch.halve() if step < settings.coarse_steps else batch


def draw_samples(examples: Examples, settings: PiseSettings, device: torch.device) -> Batch:
    """Draw the batch on the sheet of samples, always the same."""
    return examples.samples(np.random.default_rng((settings.seed, 0)), settings.batch).to(device)


def _use_instance_norm(module: nn.Module) -> None:
    """Put InstanceNorm2d in the place of each GroupNorm: the same numbers and names, trained twice as fast on a CPU."""
    for name, child in module.named_children():
        if isinstance(child, nn.GroupNorm):
            setattr(module, name, nn.InstanceNorm2d(child.num_channels, affine=child.affine))
        else:
            _use_instance_norm(child)
