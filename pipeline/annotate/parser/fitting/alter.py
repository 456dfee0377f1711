"""Alterations: people in other colours, in coats and hats and with bags, before other backgrounds, partly hidden."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from sklearn.datasets import load_sample_images
from torch.nn import functional

from data.annotation import CLOTHING_REGIONS, Joint, Region
from pipeline.annotate.parser.fitting.dye import dye, garment_colour, hair_colour, skin_colour
from pipeline.annotate.parser.network import HEIGHT, WIDTH

Joints = npt.NDArray[np.float32]
Picture = tuple[torch.Tensor, torch.Tensor]
"""Image (3, H, W) of 0 to 1 and labels (H, W)."""

BAG = -2
"""Label of a bag: background, though an outline of the person may hold it."""


def redress(image: torch.Tensor, labels: torch.Tensor, joints: Joints, rng: np.random.Generator) -> Picture:
    """Alter one person (3, H, W), labels (H, W): some get a coat, other colours, a hat, a bag."""
    if rng.random() < 0.18:
        image, labels = _coat(image, labels, joints, rng)
    for region in CLOTHING_REGIONS:
        if rng.random() < 0.55:
            strength, relief = float(rng.uniform(0.7, 1)), float(rng.uniform(0.4, 1.1))
            image = dye(image, labels == region, garment_colour(rng), strength, relief)
    if rng.random() < 0.25:
        image = dye(image, labels == Region.HAIR, hair_colour(rng), 0.85, 0.9)
    if rng.random() < 0.35:
        tone = skin_colour(rng)
        for region in (Region.SKIN, Region.FACE):
            image = dye(image, labels == region, tone, 0.85, 1.0)
    if rng.random() < 0.1:
        image, labels = _hat(image, labels, rng)
    if rng.random() < 0.12:
        image, labels = _bag(image, labels, joints, rng)
    return image, labels


def photographs() -> list[torch.Tensor]:
    """The two photographs that scikit-learn brings, each (3, H, W) of 0 to 1."""
    return [torch.from_numpy(photo.copy()).permute(2, 0, 1).float() / 255 for photo in load_sample_images().images]


def backgrounds(images: torch.Tensor, photos: Sequence[torch.Tensor], rng: np.random.Generator) -> torch.Tensor:
    """Other backgrounds for B images (B, 3, 128, 64): their own, parts of photographs, or made-up ones."""
    made = _made_up(rng, len(images))
    for row in range(len(images)):
        kind = rng.random()
        if kind < 0.35:
            made[row] = images[row]
        elif kind < 0.5:
            made[row] = _part(photos[int(rng.integers(len(photos)))], rng)
    return made


def hide(
    images: torch.Tensor, labels: torch.Tensor, person: torch.Tensor, behind: torch.Tensor, rng: np.random.Generator
) -> None:
    """Put something before 15 % of the people, in place.

    Args:
        images: (B, 3, H, W).
        labels: (B, H, W).
        person: bool (B, H, W), what an outline would hold.
        behind: (B, 3, H, W), the backgrounds.
        rng: decides it.
    """
    for row in range(len(images)):
        if rng.random() < 0.15:
            top, left = rng.integers(20, HEIGHT), rng.integers(-20, WIDTH - 5)
            tall, wide = rng.integers(10, 70), rng.integers(8, 40)
            rows, columns = slice(top, top + tall), slice(max(left, 0), max(left + wide, 0))
            plain = torch.from_numpy(rng.uniform(0, 1, (3, 1, 1)).astype(np.float32))
            images[row, :, rows, columns] = behind[row, :, rows, columns] if rng.random() < 0.5 else plain
            labels[row, rows, columns] = Region.BACKGROUND
            person[row, rows, columns] = False


def _coat(image: torch.Tensor, labels: torch.Tensor, joints: Joints, rng: np.random.Generator) -> Picture:
    """Let the upper garment reach down over the lower one, to the knees at most, and close it between the legs."""
    hips = joints[[Joint.RIGHT_HIP, Joint.LEFT_HIP], 1].mean()
    knees = joints[[Joint.RIGHT_KNEE, Joint.LEFT_KNEE], 1].mean()
    upper = labels == Region.UPPER_CLOTHES
    if not knees > hips + 6 or upper.sum() < 100:
        return image, labels
    rows = torch.arange(len(labels))[:, None]
    above = rows < hips + rng.uniform(0.15, 1.1) * (knees - hips)
    lower = ((labels == Region.TROUSERS) | (labels == Region.SKIRT)) & above
    bare = labels == Region.SKIN
    body = lower | bare & above & (rows > hips + 3) & _between(lower)
    coat = body | _between(body) & above & (rows > hips) & ~bare
    if not coat.any():
        return image, labels
    colour = image[:, upper].mean(1).view(3, 1, 1)
    brightness = (image.mean(0) / image[:, coat].mean().clamp(min=0.03)).clamp(0.4, 1.8)
    sewn = (colour * (1 + 0.5 * (brightness - 1))).clamp(0, 1)
    return torch.where(coat, sewn, image), torch.where(coat, int(Region.UPPER_CLOTHES), labels)


def _hat(image: torch.Tensor, labels: torch.Tensor, rng: np.random.Generator) -> Picture:
    """Cover the top of the head."""
    head = (labels == Region.HAIR) | (labels == Region.FACE)
    if head.sum() < 30:
        return image, labels
    rows = head.any(1).nonzero()[:, 0]
    top, tall = int(rows[0]), int(rows[-1] - rows[0] + 1)
    above = torch.arange(len(labels))[:, None] < top + max(2, int(min(tall, 16) * rng.uniform(0.3, 0.5)))
    hat = head & above
    if rng.random() < 0.7:
        hat = (functional.max_pool2d(hat[None, None].float(), 3, 1, 1)[0, 0] > 0) & above
    felt = (garment_colour(rng).view(3, 1, 1) * (0.6 + 0.8 * image.mean(0))).clamp(0, 1)
    return torch.where(hat, felt, image), torch.where(hat, int(Region.HAT), labels)


def _bag(image: torch.Tensor, labels: torch.Tensor, joints: Joints, rng: np.random.Generator) -> Picture:
    """Hang something beside a hip."""
    hip = joints[Joint.RIGHT_HIP if rng.integers(2) else Joint.LEFT_HIP]
    if np.isnan(hip[0]):
        return image, labels
    tall, wide = int(rng.integers(8, 26)), int(rng.integers(5, 16))
    top = max(0, int(hip[1] - rng.integers(0, 24)))
    left = max(0, int(hip[0] - wide / 2 + rng.normal(0, 5)))
    rows, columns = slice(top, top + tall), slice(left, left + wide)
    image, labels = image.clone(), labels.clone()
    relief = 0.15 * (image[:, rows, columns] - 0.5)
    image[:, rows, columns] = (garment_colour(rng).view(3, 1, 1) + relief).clamp(0, 1)
    labels[rows, columns] = BAG
    return image, labels


def _between(mask: torch.Tensor) -> torch.Tensor:
    """All that lies between the first and the last pixel of a mask (H, W) in each row."""
    pixels = mask.float()
    return (pixels.cumsum(1) > 0) & (pixels.flip(1).cumsum(1).flip(1) > 0)


def _made_up(rng: np.random.Generator, count: int) -> torch.Tensor:
    """Noise of several grains on a colour, bars and boxes, perhaps a ground."""
    noise = torch.Generator().manual_seed(int(rng.integers(2**31)))
    colour = _uniform(rng, count, 0.1, 0.9, 3)
    grey = colour.mean(1, keepdim=True)
    made = (grey + (colour - grey) * _uniform(rng, count, 0, 1)).repeat(1, 1, HEIGHT, WIDTH)
    for grain in (2, 4, 8, 16, 32):
        strong = torch.from_numpy(rng.choice([0, 0.06, 0.15], (count, 1, 1, 1)).astype(np.float32))
        alike = _uniform(rng, count, 0, 1)
        drawn = torch.randn(count, 3, HEIGHT // grain, WIDTH // grain, generator=noise)
        drawn = drawn * (1 - alike) + drawn[:, :1] * alike
        made += strong * _uniform(rng, count, 0, 1) * functional.interpolate(drawn, (HEIGHT, WIDTH), mode="bilinear")
    for row in range(count):
        for _ in range(rng.integers(0, 4)):
            top, left = rng.integers(0, HEIGHT), rng.integers(0, WIDTH)
            bar = rng.random() < 0.4
            tall, wide = rng.integers(3, 90 if bar else 50), rng.integers(2, 12 if bar else 60)
            plain = torch.from_numpy(rng.uniform(0, 1, (3, 1, 1)).astype(np.float32))
            made[row, :, top : top + tall, left : left + wide] = plain
        if rng.random() < 0.4:
            ground = rng.integers(40, 120)
            made[row, :, ground:] = made[row, :, ground:] * 0.3 + 0.7 * float(rng.uniform(0.1, 0.9))
    return made.clamp(0, 1)


def _part(photo: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Any part of a photograph (3, H, W) as (3, 128, 64), perhaps in false colours."""
    times = int(rng.integers(1, 4))
    tall, wide = HEIGHT * times, WIDTH * times
    top, left = rng.integers(0, photo.shape[1] - tall + 1), rng.integers(0, photo.shape[2] - wide + 1)
    part = photo[None, :, top : top + tall, left : left + wide]
    small = functional.interpolate(part, (HEIGHT, WIDTH), mode="area")[0]
    kind = rng.random()
    return small if kind < 0.5 else small[[1, 0, 2]] if kind < 0.75 else small.mean(0, keepdim=True).repeat(3, 1, 1)


def _uniform(rng: np.random.Generator, count: int, low: float, high: float, channels: int = 1) -> torch.Tensor:
    return torch.from_numpy(rng.uniform(low, high, (count, channels, 1, 1)).astype(np.float32))
