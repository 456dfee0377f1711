"""Training: a generator fitted to examples by an objective and a discriminator, step by step, resumable."""

from __future__ import annotations

import contextlib
import json
import math
import pickle
import signal
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Protocol, cast

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from data.runtime.errors import Interrupted, RunError
from data.runtime.files import replacing
from pipeline.pise.checkpoint import save_generator
from pipeline.pise.fitting.discriminator import Discriminator
from pipeline.pise.fitting.objectives import Exact, Objective, redraw
from pipeline.pise.fitting.pairs import Batch
from pipeline.pise.model.generator import Generator

CHECKPOINT = "checkpoint.pt"
SHEET = "samples.png"
WEIGHTS = "generator.safetensors"
LOG = "metrics.jsonl"

_ACROSS = 4  # examples in a row of the sheet


@dataclass(frozen=True)
class PiseSettings:
    """How a generator is fitted: by L1, `clothes_weight` times as heavy on the clothes, and an adversarial loss.

    The first `coarse_steps` are taken at half the size, four times as fast; the discriminator comes in after them. From
    step `chroma_from` on, what colours differ in besides lightness weighs `chroma_weight` more: by then shapes and
    lightness are there, while hues, by far the smaller part of the error, would take much longer.
    """

    width: int = 16
    height: int = 128
    picture_width: int = 64
    scenes: int = 6000
    steps: int = 12000
    coarse_steps: int = 5000
    batch: int = 10
    learning_rate: float = 8e-4
    clothes_weight: float = 3.0
    chroma_weight: float = 3.0
    chroma_from: int = 6500
    adversarial_weight: float = 0.02
    discriminator_width: int = 24
    average_decay: float = 0.998
    seed: int = 0

    @property
    def recuts(self) -> bool:
        """Whether the examples have targets whose clothes are cut otherwise than the source's."""
        return True

    def objective(self) -> Exact:
        """What a painting is held against where its target is known."""
        return Exact(self.clothes_weight, self.chroma_weight, self.chroma_from)


class Examples(Protocol):
    """What batches are drawn from."""

    def draw(self, rng: np.random.Generator, count: int) -> Batch:
        """Draw a batch to learn from; `rng` decides it."""

    def samples(self, rng: np.random.Generator, count: int) -> Batch:
        """Draw a batch to look at."""


def learning_rate(settings: PiseSettings, step: int) -> float:
    """Half a cosine from the settings' learning rate to 2 % of it, after 200 steps of warm-up."""
    falling = 0.02 + 0.98 * (1 + math.cos(math.pi * step / settings.steps)) / 2
    return settings.learning_rate * min(1.0, (step + 1) / 200) * falling


def train_generator(
    make_examples: Callable[[], Examples],
    settings: PiseSettings,
    folder: Path,
    device: torch.device,
    every: int = 250,
    objective: Objective | None = None,
) -> Path:
    """Fit a generator and write its weights; goes on from the folder's checkpoint if there is one.

    Every `every` steps a checkpoint and a sheet of samples are written and a line is added to the log. On Ctrl-C or
    SIGTERM the step is ended and a checkpoint written; a run so interrupted ends, on a CPU, with the very weights of an
    uninterrupted one.

    Args:
        make_examples: called when the folder's checkpoint has been found to fit, if there are steps left to take.
        settings: what decides the result, besides the examples.
        folder: of everything that is written.
        device: where to compute, in bfloat16 but for the losses.
        every: steps between two checkpoints.
        objective: by default the settings' own.

    Returns:
        The weights' file.

    Raises:
        RunError: the loss is not finite, or the checkpoint is damaged or of other settings.
        Interrupted: on an interrupt, after saving.
    """
    folder.mkdir(parents=True, exist_ok=True)
    objective = objective or settings.objective()
    torch.manual_seed(settings.seed)
    size = (settings.height, settings.picture_width)
    generator = Generator(settings.width, size=size, recuts=settings.recuts).to(device)
    _use_instance_norm(generator)
    discriminator = Discriminator(settings.discriminator_width).to(device)
    average = AveragedModel(generator, multi_avg_fn=get_ema_multi_avg_fn(settings.average_decay), use_buffers=True)
    optimiser = torch.optim.Adam(generator.parameters(), settings.learning_rate, betas=(0.5, 0.99))
    opponent = torch.optim.Adam(discriminator.parameters(), settings.learning_rate, betas=(0.5, 0.99))
    averaged = cast(Generator, average.module)
    parts = {
        "generator": generator,
        "discriminator": discriminator,
        "average": average,
        "optimiser": optimiser,
        "opponent": opponent,
    }
    first = _restore(folder / CHECKPOINT, parts, settings)
    if first == settings.steps:
        save_generator(averaged, folder / WEIGHTS)
        return folder / WEIGHTS
    examples = make_examples()
    progress = tqdm(range(first, settings.steps), initial=first, total=settings.steps, desc="pise", disable=None)
    history: list[dict[str, float]] = []
    with _interrupts_noted() as interrupted:
        for step in progress:
            for group in (*optimiser.param_groups, *opponent.param_groups):
                group["lr"] = learning_rate(settings, step)
            batch = draw_batch(examples, settings, step, device)
            losses = _step(generator, discriminator, optimiser, opponent, batch, objective, settings, step)
            average.update_parameters(generator)
            history.append(losses)
            if not all(map(math.isfinite, losses.values())):
                raise RunError(f"the loss is not finite at step {step}: lower the learning rate, start in a new folder")
            if (step + 1) % every == 0:
                means = {name: sum(each.get(name, 0.0) for each in history) / len(history) for name in losses}
                history.clear()
                with (folder / LOG).open("a", encoding="utf-8") as log:
                    log.write(json.dumps({"step": step + 1, **means}) + "\n")
                figures = " ".join(f"{name} {value:.4f}" for name, value in means.items())
                progress.write(f"pise step {step + 1}/{settings.steps} {figures}")
                _save(folder / CHECKPOINT, parts, settings, step + 1)
                write_samples(folder / SHEET, averaged, draw_samples(examples, settings, device))
            if interrupted():
                _save(folder / CHECKPOINT, parts, settings, step + 1)
                raise Interrupted(
                    f"stopped after step {step + 1} of {settings.steps}: the same command goes on from there"
                )
    _save(folder / CHECKPOINT, parts, settings, settings.steps)
    save_generator(averaged, folder / WEIGHTS)
    write_samples(folder / SHEET, averaged, draw_samples(examples, settings, device))
    return folder / WEIGHTS


def draw_batch(examples: Examples, settings: PiseSettings, step: int, device: torch.device) -> Batch:
    """The batch of a step; it depends on the seed and the step alone, so that a resumed run sees the same ones."""
    batch = examples.draw(np.random.default_rng((settings.seed, step + 1)), settings.batch).to(device)
    return batch.halve() if step < settings.coarse_steps else batch


def draw_samples(examples: Examples, settings: PiseSettings, device: torch.device) -> Batch:
    """The batch on the sheet of samples, always the same."""
    return examples.samples(np.random.default_rng((settings.seed, 0)), settings.batch).to(device)


def write_samples(file: Path, generator: Generator, batch: Batch) -> None:
    """A picture of what a generator does: columns of source, template, redrawn and, if there is one, true target."""
    was_training = generator.training
    generator.eval()
    with torch.no_grad():
        painted = redraw(generator, batch)
    generator.train(was_training)
    truth = [] if torch.equal(batch.source, batch.target) else [batch.target]
    columns = torch.stack([batch.source, batch.template, painted, *truth], 1)
    across = min(_ACROSS, len(columns))
    columns = columns[: len(columns) // across * across]
    count, kinds, _, height, width = columns.shape
    tiles = columns.unflatten(0, (-1, across)).permute(0, 4, 1, 2, 5, 3)
    sheet = tiles.reshape(count // across * height, across * kinds * width, 3).clamp(-1, 1)
    Image.fromarray(((sheet + 1) * 127.5).round().byte().cpu().numpy()).save(file)


def _step(
    generator: Generator,
    discriminator: Discriminator,
    optimiser: torch.optim.Optimizer,
    opponent: torch.optim.Optimizer,
    batch: Batch,
    objective: Objective,
    settings: PiseSettings,
    step: int,
) -> dict[str, float]:
    """One step of both players (hinge loss: Lim and Ye 2017). Returns the losses' values."""
    attempt = objective(generator, batch, step)
    loss, values = attempt.loss, attempt.values
    adversarial = step >= settings.coarse_steps
    if adversarial:
        discriminator.requires_grad_(False)
        values["fooled"] = -discriminator(attempt.painted, attempt.parsing).mean()
        discriminator.requires_grad_(True)
        loss = loss + settings.adversarial_weight * values["fooled"]
    optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(generator.parameters(), 1.0)
    optimiser.step()
    if adversarial:
        real = discriminator(batch.target, batch.target_parsing)
        fake = discriminator(attempt.painted.detach(), attempt.parsing)
        verdict = functional.relu(1 - real).mean() + functional.relu(1 + fake).mean()
        opponent.zero_grad()
        verdict.backward()
        opponent.step()
        values["discriminator"] = verdict
    return {name: value.item() for name, value in values.items()}


@contextlib.contextmanager
def _interrupts_noted() -> Iterator[Callable[[], bool]]:
    """Hold SIGINT and SIGTERM back, so that no step is left half done; the function given says if one came."""
    came = False

    def note(_signal: int, _frame: FrameType | None) -> None:
        nonlocal came
        came = True

    previous = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: came
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _use_instance_norm(module: nn.Module) -> None:
    """Put InstanceNorm2d in the place of each GroupNorm: the same numbers and names, trained twice as fast on a CPU."""
    for name, child in module.named_children():
        if isinstance(child, nn.GroupNorm):
            setattr(module, name, nn.InstanceNorm2d(child.num_channels, affine=child.affine))
        else:
            _use_instance_norm(child)


def _save(file: Path, parts: dict[str, Any], settings: PiseSettings, step: int) -> None:
    state = {name: part.state_dict() for name, part in parts.items()}
    with replacing(file) as temporary:
        torch.save({**state, "settings": asdict(settings), "step": step}, temporary)


def _restore(file: Path, parts: dict[str, Any], settings: PiseSettings) -> int:
    """Load a checkpoint if there is one; returns the step to go on from."""
    if not file.exists():
        return 0
    try:
        state = torch.load(file, weights_only=True, map_location="cpu")
        trained, step = state["settings"], int(state["step"])
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, TypeError) as error:
        raise RunError(f"{file} is damaged: remove it to start anew") from error
    if trained != asdict(settings):
        raise RunError(f"{file} is of a run with other settings: remove it or choose another folder")
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return step
