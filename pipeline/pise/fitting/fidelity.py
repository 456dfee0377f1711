"""Fidelity: does a generator change the clothes and keep the person? Measured where the true picture is known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch

from data.annotation import CLOTHING_REGIONS, Region
from pipeline.pise.fitting.batch import Batch
from pipeline.pise.fitting.objectives import redraw
from pipeline.pise.fitting.scenes import Scenes
from pipeline.pise.model.generator import Generator

_BODY = [Region.HAT, Region.HAIR, Region.SKIN, Region.FACE]
_GREY_LEVELS = 127.5  # for a difference of 1 where pictures lie in [-1, 1]


@dataclass(frozen=True)
class Fidelity:
    """Mean absolute differences in grey levels (of 255), over the pixels of `pictures` redrawn ones.

    Clothes are the pixels that are clothing in the source or in the true picture of the person in the new outfit; the
    rest is the person's body and the background.
    """

    pictures: int
    clothes_to_new: float  # redrawn against the person in the new outfit
    clothes_to_old: float  # redrawn against the source, which wears the old one
    clothes_between: float  # old against new outfit: how far there is to go
    rest_to_source: float  # redrawn against the source
    body_to_source: float  # the same on hat, hair, skin and face alone
    nearer_to_new: float  # share of pictures whose clothes are nearer to the new outfit than to the old

    def __str__(self) -> str:
        return (
            f"clothes: {self.clothes_to_new:.1f} grey levels from the new outfit and {self.clothes_to_old:.1f} from the"
            f" old, which are {self.clothes_between:.1f} apart; {100 * self.nearer_to_new:.1f} % of {self.pictures:,}"
            f" pictures are nearer to the new one; the rest: {self.rest_to_source:.1f} from the photo, on the body"
            f" {self.body_to_source:.1f}"
        )


def measure_fidelity(generator: Generator, scenes: Scenes, device: torch.device, at_once: int = 64) -> Fidelity:
    """Redraw every person of every scene out of either outfit and compare with the truth.

    Args:
        generator: on `device`; it is put into evaluation mode.
        scenes: people that it was not fitted to.
        device: where to compute.
        at_once: scenes redrawn together, which bounds the memory.
    """
    starts = range(0, len(scenes), at_once)
    some = (np.arange(start, min(start + at_once, len(scenes))) for start in starts)
    return compare(
        generator,
        (scenes.batch(chosen, person, outfit) for chosen in some for person in (0, 1) for outfit in (0, 1)),
        device,
    )


@torch.inference_mode()
def compare(generator: Generator, batches: Iterable[Batch], device: torch.device) -> Fidelity:
    """Redraw batches and compare with the truth; of people before a backdrop, the rest is the body alone.

    Args:
        generator: on `device`; it is put into evaluation mode.
        batches: of people that it was not fitted to.
        device: where to compute.
    """
    generator.eval()
    rows = []
    for batch in (batch.to(device) for batch in batches):
        painted = redraw(generator, batch)
        worn = (batch.source_parsing + batch.target_parsing)[:, CLOTHING_REGIONS].amax(1).clamp(max=1)
        bare = 1 - worn
        if generator.backdrop:
            worn, bare = (part * (1 - batch.target_parsing[:, Region.BACKGROUND]) for part in (worn, bare))
        body = bare * batch.source_parsing[:, _BODY].sum(1)
        differences = (
            ((painted - batch.target), worn),
            ((painted - batch.source), worn),
            ((batch.target - batch.source), worn),
            ((painted - batch.source), bare),
            ((painted - batch.source), body),
        )
        rows.append(torch.stack([_mean(difference, where) for difference, where in differences], 1))
    measured = torch.cat(rows).mul(_GREY_LEVELS)
    to_new, to_old, between, rest, body = measured.double().mean(0).tolist()
    nearer = (measured[:, 0] < measured[:, 1]).double().mean().item()
    return Fidelity(len(measured), to_new, to_old, between, rest, body, nearer)


def _mean(difference: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference (B, 3, H, W) where `where` (B, H, W) is 1: (B,)."""
    return (difference.abs().mean(1) * where).sum((1, 2)) / where.sum((1, 2)).clamp(min=1)
