"""Dyes: a region in another colour, its light and folds kept, up to the soft rim that it has in the picture."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

_FEWEST = 4  # pixels that have a mean worth speaking of


def blur(pictures: torch.Tensor) -> torch.Tensor:
    """The mean of 3 x 3 pixels, edges repeated: (..., C, H, W) of any batch."""
    x = functional.pad(pictures, (1, 1, 1, 1), mode="replicate")
    x = x[..., :-2, :] + x[..., 1:-1, :] + x[..., 2:, :]
    return (x[..., :-2] + x[..., 1:-1] + x[..., 2:]) / 9


def cloth(picture: torch.Tensor, inside: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The cover of a region, soft at its rim, and its own colour there, free of what is beside it.

    Args:
        picture: (B, 3, H, W).
        inside: (B, 1, H, W), 1 in the region, else 0.
    """
    cover = blur(inside)
    return cover, torch.where(cover > 0.99, picture, blur(inside * picture) / cover.clamp(min=1e-3))


def dye(
    picture: torch.Tensor, inside: torch.Tensor, colour: torch.Tensor, strength: float, relief: float
) -> torch.Tensor:
    """Give a region of one picture another colour.

    Args:
        picture: (3, H, W) of 0 to 1.
        inside: bool (H, W).
        colour: (3,), of 0 to 1.
        strength: how much of the new colour, 0 to 1.
        relief: how much of the old differences of brightness.
    """
    if inside.sum() < _FEWEST:
        return picture
    mask = inside.float()[None, None]
    cover, old = (part[0] for part in cloth(picture[None], mask))
    mean = picture[:, inside].mean().clamp(min=0.03)
    brightness = (old.mean(0, keepdim=True) / mean).clamp(0, 3)
    new = colour.view(3, 1, 1) * (1 + relief * (brightness - 1)) * strength + old * (1 - strength)
    return (picture + cover * (new - old)).clamp(0, 1)


def garment_colour(rng: np.random.Generator) -> torch.Tensor:
    """A colour as clothes have: black and charcoal oftener than chance, greys and white, denim, brown, any."""
    kind = rng.random()
    if kind < 0.3:
        colour = rng.uniform(0.01, 0.16) + rng.uniform(0, 0.03, 3)
    elif kind < 0.45:
        colour = rng.uniform(0.2, 0.95) + rng.uniform(-0.04, 0.04, 3)
    elif kind < 0.6:
        colour = rng.uniform(0.3, 1.1) * np.array([0.25, 0.35, 0.55]) * rng.uniform(0.8, 1.2, 3)
    elif kind < 0.7:
        colour = rng.uniform(0.4, 1.3) * np.array([0.55, 0.42, 0.3]) * rng.uniform(0.85, 1.15, 3)
    else:
        colour = rng.uniform(0, 1, 3)
    return torch.from_numpy(colour.astype(np.float32))


def skin_colour(rng: np.random.Generator) -> torch.Tensor:
    """A colour as skin has, from dark to pale."""
    tone = rng.uniform(0.12, 0.9) * np.array([1, rng.uniform(0.66, 0.84), rng.uniform(0.5, 0.75)])
    return torch.from_numpy(tone.astype(np.float32))


def hair_colour(rng: np.random.Generator) -> torch.Tensor:
    """A colour as hair has, from black to blond."""
    tone = rng.uniform(0.02, 0.8) * np.array([1, rng.uniform(0.7, 0.95), rng.uniform(0.4, 0.9)])
    return torch.from_numpy(tone.astype(np.float32))
