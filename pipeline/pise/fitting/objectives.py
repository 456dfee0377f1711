"""Objectives: what a painting is held against, besides the discriminator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch.nn import functional

from data.annotation import CLOTHING_REGIONS
from pipeline.pise.fitting.batch import Batch
from pipeline.pise.fitting.perceptual import Perceptual
from pipeline.pise.model.generator import Generator
from pipeline.pise.model.style import Style

_CLOTHES = list(CLOTHING_REGIONS)


@dataclass(frozen=True)
class Attempt:
    """What a generator painted for a batch, and how far it is from what was wanted.

    `loss` is a scalar to be minimised, `values` its parts for the log; `painted` float32 (N, 3, H, W) in [-1, 1] into
    `parsing` (N, 8, H, W) is what the discriminator shall judge.
    """

    loss: torch.Tensor
    values: dict[str, torch.Tensor]
    painted: torch.Tensor
    parsing: torch.Tensor


class Objective(Protocol):
    """Lets a generator paint a batch and says what is wrong with the result."""

    def __call__(self, generator: Generator, batch: Batch, step: int) -> Attempt:
        """Paint a batch and judge the result; `step` is how far training is."""


@dataclass(frozen=True)
class Exact:
    """L1 to the true picture, `clothes_weight` times as heavy on clothes (see `worn`).

    From step `chroma_from` on, what colours differ in besides lightness weighs `chroma_weight` more.
    """

    clothes_weight: float
    chroma_weight: float
    chroma_from: int

    def __call__(self, generator: Generator, batch: Batch, step: int) -> Attempt:
        """Redraw the batch and measure its distance from the target."""
        with torch.autocast(batch.source.device.type, torch.bfloat16):
            painted = redraw(generator, batch)
        painted = painted.float()
        loss, values = self.distance(painted, batch, step)
        return Attempt(loss, values, painted, batch.target_parsing)

    def distance(self, painted: torch.Tensor, batch: Batch, step: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Measure the weighted L1 of `painted` (B, 3, H, W), and plain parts of it for the log."""
        difference = painted - batch.target
        error = difference.abs().mean(1)
        chroma = (difference - difference.mean(1, keepdim=True)).abs().mean(1)
        clothes = worn(batch)
        area = clothes.sum().clamp(min=1)
        weight = 1 + (self.clothes_weight - 1) * clothes
        chroma_weight = self.chroma_weight if step >= self.chroma_from else 0.0
        values = {
            "l1": error.detach().mean(),
            "clothes_l1": (error * clothes).sum() / area,
            "clothes_chroma": (chroma * clothes).sum() / area,
        }
        return ((error + chroma_weight * chroma) * weight).sum() / weight.sum(), values


@dataclass(frozen=True)
class CutOut:
    """For people before a backdrop: as `Exact`, on the person alone, and against what repeats every four pixels.

    The clothes' weight reaches two pixels beyond them. Transposed convolutions leave a checkerboard: the mean error of
    each of the 16 places in squares of 4 x 4 pixels shall be the same, over 4 x 4 squares (2 x 2 at half the size).
    """

    clothes_weight: float
    chroma_weight: float
    early_chroma_weight: float
    chroma_from: int
    grid_weight: float

    def __call__(self, generator: Generator, batch: Batch, step: int) -> Attempt:
        """Redraw the batch and measure the distance of the person from the target."""
        with torch.autocast(batch.source.device.type, torch.bfloat16):
            painted = redraw(generator, batch)
        # What is painted beside people is never looked at.
        painted = torch.where(batch.target_parsing[:, :1] > 0, batch.target, painted.float())
        person = 1 - batch.target_parsing[:, 0]
        clothes = worn(batch).clamp(max=1)
        difference = painted - batch.target
        error = difference.abs().mean(1)
        chroma = (difference - difference.mean(1, keepdim=True)).abs().mean(1)
        near = functional.max_pool2d(clothes.unsqueeze(1), 5, 1, 2)[:, 0]
        weight = person * (1 + (self.clothes_weight - 1) * near)
        chroma_weight = self.chroma_weight if step >= self.chroma_from else self.early_chroma_weight
        seen = clothes * person
        area = seen.sum().clamp(min=1)
        values = {
            "clothes_l1": (error * seen).sum() / area,
            "clothes_chroma": (chroma * seen).sum() / area,
            "grid": _grid(difference) / person.mean().clamp(min=0.05),
        }
        loss = ((error + chroma_weight * chroma) * weight).sum() / weight.sum() + self.grid_weight * values["grid"]
        return Attempt(loss, values, painted, batch.target_parsing)


@dataclass(frozen=True)
class Shuffled:
    """For photos of which no picture in other clothes exists: half of what is painted has no target.

    Each layout is painted twice. In the clothes of its own template it must give the target: `exact`, and the
    perceptual losses where VGG weights are given. In those of its neighbour in the batch there is no target for the
    clothes; there the painting must deceive the discriminator, its clothes must have the codes that were asked for (L1,
    the style encoder being held still, lest it learn to see what it wants), and all the rest must be the target's (L1).
    The weights of content and style are relative to the plain L1, as PISE has them (5, 0.5 and 200).
    """

    exact: Exact
    codes_weight: float
    content_weight: float
    style_weight: float
    perceptual: Perceptual | None = None

    def __call__(self, generator: Generator, batch: Batch, step: int) -> Attempt:
        """Paint each layout in its own template's clothes and in its neighbour's, and judge both."""
        with torch.autocast(batch.source.device.type, torch.bfloat16):
            source = generator.style(batch.source, batch.source_parsing)
            own = generator.style(batch.template, batch.template_parsing)
            other = Style(own.codes.roll(1, 0), own.present.roll(1, 0))
            outfits = [source.dressed_in(template, added=True) for template in (own, other)]
            codes, present = (torch.stack(parts, 1) for parts in zip(*outfits, strict=True))
            layout = generator.layout(batch.source, batch.pose, batch.source_parsing, batch.target_parsing)
            painted = generator.paint(layout, batch.target_parsing, codes, present)
        restored, changed = painted.float().unbind(1)
        loss, values = self.exact.distance(restored, batch, step)
        values["codes"] = self._codes_missed(generator, changed, batch.target_parsing, other)
        bare = (worn(batch) == 0).unsqueeze(1)
        values["rest_l1"] = ((changed - batch.target).abs() * bare).sum() / (3 * bare.sum().clamp(min=1))
        loss = loss + self.codes_weight * values["codes"] + values["rest_l1"]
        if self.perceptual:
            values["content"], values["style"] = self.perceptual(restored, batch.target)
            loss = loss + self.content_weight * values["content"] + self.style_weight * values["style"]
        both = torch.cat([restored, changed])
        return Attempt(loss, values, both, batch.target_parsing.repeat(2, 1, 1, 1))

    @staticmethod
    def _codes_missed(generator: Generator, painted: torch.Tensor, parsing: torch.Tensor, asked: Style) -> torch.Tensor:
        """Mean absolute difference of the codes of the painted clothes from those asked for."""
        generator.style_encoder.requires_grad_(False)
        with torch.autocast(painted.device.type, torch.bfloat16):
            seen, visible = generator.style(painted, parsing)
        generator.style_encoder.requires_grad_(True)
        counted = visible[:, _CLOTHES] * asked.present[:, _CLOTHES]
        missed = (seen - asked.codes.detach())[:, _CLOTHES].float().abs().mean(2)
        return (missed * counted).sum() / counted.sum().clamp(min=1)


def _grid(difference: torch.Tensor) -> torch.Tensor:
    """How much of a difference (B, 3, H, W) repeats every four pixels."""
    squares = 4 if difference.shape[-1] >= 64 else 2
    phases = functional.avg_pool2d(functional.pixel_unshuffle(difference, 4), squares).unflatten(1, (3, 16))
    return (phases - phases.mean(2, keepdim=True)).abs().mean()


def redraw(generator: Generator, batch: Batch) -> torch.Tensor:
    """Paint the source in the template's clothes into the target's parsing: (B, 3, H, W) in [-1, 1]."""
    source = generator.style(batch.source, batch.source_parsing)
    dressed = source.dressed_in(generator.style(batch.template, batch.template_parsing), added=True)
    layout = generator.layout(batch.source, batch.pose, batch.source_parsing, batch.target_parsing)
    return generator.paint(layout, batch.target_parsing, *dressed)


def worn(batch: Batch) -> torch.Tensor:
    """Count at each pixel how many of source and target have the same region of clothes: 0, 1 or 2, (B, H, W)."""
    return (batch.target_parsing[:, _CLOTHES] + batch.source_parsing[:, _CLOTHES]).amax(1)
