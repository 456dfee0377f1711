"""Fitting a small PISE to people of whom the same picture in other clothes can be rendered."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from data.annotation import CLOTHING_REGIONS
from data.errors import Interrupted, RunError
from pipeline.pise.checkpoint import save_generator
from pipeline.pise.discriminator import Discriminator
from pipeline.pise.generator import Generator
from pipeline.pise.pairs import Batch, Scenes

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
    steps: int = 7000
    coarse_steps: int = 2500
    batch: int = 10
    learning_rate: float = 8e-4
    clothes_weight: float = 3.0
    chroma_weight: float = 3.0
    chroma_from: int = 3250
    adversarial_weight: float = 0.02
    discriminator_width: int = 24
    average_decay: float = 0.998
    seed: int = 0


def learning_rate(settings: PiseSettings, step: int) -> float:
    """Half a cosine from the settings' learning rate to 2 % of it, after 200 steps of warm-up."""
    falling = 0.02 + 0.98 * (1 + math.cos(math.pi * step / settings.steps)) / 2
    return settings.learning_rate * min(1.0, (step + 1) / 200) * falling


def redraw(generator: Generator, batch: Batch) -> torch.Tensor:
    """The source in the template's clothes, (B, 3, H, W) in [-1, 1], painted into the target's parsing."""
    codes, present = generator.style(batch.source, batch.source_parsing)
    new_codes, new_present = generator.style(batch.template, batch.template_parsing)
    exchanged = torch.zeros_like(present)
    exchanged[:, CLOTHING_REGIONS] = new_present[:, CLOTHING_REGIONS]
    regions = torch.where(exchanged.unsqueeze(2) > 0, new_codes[:, :-1], codes[:, :-1])
    codes = torch.cat([regions, codes[:, -1:]], 1)
    layout = generator.layout(batch.source, batch.pose, batch.source_parsing, batch.target_parsing)
    return generator.paint(layout, batch.target_parsing, codes, torch.maximum(present, exchanged))


def train_generator(
    make_scenes: Callable[[], Scenes], settings: PiseSettings, folder: Path, device: torch.device, every: int = 250
) -> Path:
    """Fit a generator and write its weights; goes on from the folder's checkpoint if there is one.

    Every `every` steps a checkpoint and a sheet of samples are written and a line is added to the log. Returns the
    weights' file. Raises RunError when the loss is not finite and Interrupted (after saving) on an interrupt.
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(settings.seed)
    generator = Generator(settings.width, size=(settings.height, settings.picture_width), recuts=True).to(device)
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
    scenes = make_scenes()
    progress = tqdm(range(first, settings.steps), initial=first, total=settings.steps, desc="pise", disable=None)
    step = first
    history: list[dict[str, float]] = []
    try:
        for step in progress:
            for group in (*optimiser.param_groups, *opponent.param_groups):
                group["lr"] = learning_rate(settings, step)
            batch = draw_batch(scenes, settings, step, device)
            losses = _step(generator, discriminator, optimiser, opponent, batch, settings, step)
            average.update_parameters(generator)
            history.append(losses)
            if not math.isfinite(losses["l1"]):
                raise RunError(f"the loss is not finite at step {step}: lower the learning rate, start in a new folder")
            if (step + 1) % every == 0:
                means = {name: sum(each.get(name, 0.0) for each in history) / len(history) for name in losses}
                history.clear()
                with (folder / LOG).open("a", encoding="utf-8") as log:
                    log.write(json.dumps({"step": step + 1, **means}) + "\n")
                figures = " ".join(f"{name} {value:.4f}" for name, value in means.items())
                progress.write(f"pise step {step + 1}/{settings.steps} {figures}")
                _save(folder / CHECKPOINT, parts, settings, step + 1)
                write_samples(folder / SHEET, averaged, draw_batch(scenes, settings, -1, device))
    except KeyboardInterrupt as interrupt:
        _save(folder / CHECKPOINT, parts, settings, step)
        raise Interrupted(
            f"stopped at step {step} of {settings.steps}: the same command goes on from there"
        ) from interrupt
    _save(folder / CHECKPOINT, parts, settings, settings.steps)
    save_generator(averaged, folder / WEIGHTS)
    return folder / WEIGHTS


def draw_batch(scenes: Scenes, settings: PiseSettings, step: int, device: torch.device) -> Batch:
    """The batch of a step; it depends on the seed and the step alone, so that a resumed run sees the same ones."""
    rng = np.random.default_rng((settings.seed, step + 1))
    chosen = rng.choice(len(scenes), settings.batch, replace=settings.batch > len(scenes))
    batch = scenes.batch(chosen, person=int(rng.integers(2)), outfit=int(rng.integers(2))).to(device)
    return batch.halve() if 0 <= step < settings.coarse_steps else batch


def write_samples(file: Path, generator: Generator, batch: Batch) -> None:
    """A picture of what a generator does: columns of source, template, redrawn and true target."""
    was_training = generator.training
    generator.eval()
    with torch.no_grad():
        painted = redraw(generator, batch)
    generator.train(was_training)
    columns = torch.stack([batch.source, batch.template, painted, batch.target], 1)
    columns = columns[: len(columns) // _ACROSS * _ACROSS]
    count, kinds, _, height, width = columns.shape
    tiles = columns.unflatten(0, (-1, _ACROSS)).permute(0, 4, 1, 2, 5, 3)
    sheet = tiles.reshape(count // _ACROSS * height, _ACROSS * kinds * width, 3).clamp(-1, 1)
    Image.fromarray(((sheet + 1) * 127.5).round().byte().cpu().numpy()).save(file)


def _step(
    generator: Generator,
    discriminator: Discriminator,
    optimiser: torch.optim.Optimizer,
    opponent: torch.optim.Optimizer,
    batch: Batch,
    settings: PiseSettings,
    step: int,
) -> dict[str, float]:
    """One step of both players (hinge loss: Lim and Ye 2017). Returns the losses' values."""
    with torch.autocast(batch.source.device.type, torch.bfloat16):
        painted = redraw(generator, batch)
    painted = painted.float()
    difference = painted - batch.target
    error = difference.abs().mean(1)
    chroma = (difference - difference.mean(1, keepdim=True)).abs().mean(1)
    clothes = (batch.target_parsing[:, CLOTHING_REGIONS] + batch.source_parsing[:, CLOTHING_REGIONS]).amax(1)
    weight = 1 + (settings.clothes_weight - 1) * clothes
    chroma_weight = settings.chroma_weight if step >= settings.chroma_from else 0.0
    distance = ((error + chroma_weight * chroma) * weight).sum() / weight.sum()
    values = {
        "l1": error.detach().mean().item(),
        "clothes_l1": ((error * clothes).sum() / clothes.sum()).item(),
        "clothes_chroma": ((chroma * clothes).sum() / clothes.sum()).item(),
    }
    loss = distance
    adversarial = step >= settings.coarse_steps
    if adversarial:
        discriminator.requires_grad_(False)
        fooled = -discriminator(painted, batch.target_parsing).mean()
        discriminator.requires_grad_(True)
        loss = loss + settings.adversarial_weight * fooled
        values["fooled"] = fooled.item()
    optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(generator.parameters(), 1.0)
    optimiser.step()
    if adversarial:
        real = discriminator(batch.target, batch.target_parsing)
        fake = discriminator(painted.detach(), batch.target_parsing)
        verdict = functional.relu(1 - real).mean() + functional.relu(1 + fake).mean()
        opponent.zero_grad()
        verdict.backward()
        opponent.step()
        values["discriminator"] = verdict.item()
    return values


def _use_instance_norm(module: nn.Module) -> None:
    """Put InstanceNorm2d in the place of each GroupNorm: the same numbers and names, trained twice as fast on a CPU."""
    for name, child in module.named_children():
        if isinstance(child, nn.GroupNorm):
            setattr(module, name, nn.InstanceNorm2d(child.num_channels, affine=child.affine))
        else:
            _use_instance_norm(child)


def _save(file: Path, parts: dict[str, Any], settings: PiseSettings, step: int) -> None:
    state = {name: part.state_dict() for name, part in parts.items()}
    temporary = file.with_suffix(f".{os.getpid()}.part")
    torch.save({**state, "settings": asdict(settings), "step": step}, temporary)
    temporary.replace(file)


def _restore(file: Path, parts: dict[str, Any], settings: PiseSettings) -> int:
    """Load a checkpoint if there is one; returns the step to go on from."""
    if not file.exists():
        return 0
    state = torch.load(file, weights_only=True, map_location="cpu")
    if state["settings"] != asdict(settings):
        raise RunError(f"{file} is of a run with other settings: remove it or choose another folder")
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return int(state["step"])
