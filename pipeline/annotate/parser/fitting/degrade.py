"""Degradations: light and cameras, and outlines and joints as a model finds them."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch.nn import functional

from data.annotation import MIRRORED_JOINTS
from pipeline.annotate.parser.fitting.dye import blur


def relight(images: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Change gamma, exposure, colour cast, haze, saturation, and the light across (B, 3, H, W) of 0 to 1."""
    count, _, height, width = images.shape

    def drawn(low: float, high: float, channels: int = 1) -> torch.Tensor:
        return torch.from_numpy(rng.uniform(low, high, (count, channels, 1, 1)).astype(np.float32))

    x = images.clamp(1e-3, 1) ** torch.exp(drawn(-0.35, 0.35))
    x = x * torch.exp(drawn(-0.7, 0.25)) * torch.exp(drawn(-0.12, 0.12, 3))
    x = x + drawn(-0.03, 0.08) * (1 - x)
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * drawn(0.5, 1.25)
    across, down = torch.linspace(-1, 1, width), torch.linspace(-1, 1, height)[:, None]
    return (x * (1 + across * drawn(-0.15, 0.15) + down * drawn(-0.15, 0.15))).clamp(0, 1)


def photograph(image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Lower the resolution of one image (3, H, W), blur or sharpen it, add noise, and JPEG's traces."""
    height, width = image.shape[1:]
    kind = rng.random()
    if kind < 0.35:
        times = rng.uniform(1.2, 2.8)
        small = functional.interpolate(image[None], (int(height / times), int(width / times)), mode="area")
        how = "bicubic" if rng.random() < 0.5 else "bilinear"
        image = functional.interpolate(small, (height, width), mode=how)[0].clamp(0, 1)
    elif kind < 0.5:
        image = blur(image)
    elif kind < 0.55:
        image = (image + 0.8 * (image - blur(image))).clamp(0, 1)
    if rng.random() < 0.5:
        noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(int(rng.integers(2**31))))
        image = (image + float(rng.uniform(0, 0.05)) * noise).clamp(0, 1)
    if rng.random() < 0.35:
        file = io.BytesIO()
        pixels = (image * 255).byte().permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(file, "JPEG", quality=int(rng.integers(30, 92)))
        image = torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1).float() / 255
    return image


def outline(person: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """The soft mask (1, H, W) that a model might give for one person, bool (H, W); now and then a bad one or none."""
    height, width = person.shape
    mask = person.float()[None, None]
    kind = rng.random()
    if kind < 0.25:
        mask = functional.max_pool2d(mask, 3, 1, 1)
    elif kind < 0.5:
        mask = -functional.max_pool2d(-mask, 3, 1, 1)
    for _ in range(rng.integers(1, 5)):
        mask = blur(mask)
    if rng.random() < 0.5:
        mask = mask.roll((int(rng.integers(-2, 3)), int(rng.integers(-1, 2))), (2, 3))
    lumps = torch.from_numpy(rng.normal(0, rng.uniform(0, 0.4), (1, 1, 16, 8)).astype(np.float32))
    lumps = functional.interpolate(lumps, (height, width), mode="bilinear")
    edge = 4 * mask * (1 - mask) + 0.08
    mask = torch.sigmoid((mask - 0.5 + 0.5 * lumps * edge) * float(rng.uniform(6, 20)))[0]
    kind = rng.random()
    if kind < 0.06:
        return torch.zeros_like(mask)
    if kind < 0.3:
        top, left = rng.integers(0, height - 8), rng.integers(0, width - 8)
        mask = mask.clone()
        mask[:, top : top + rng.integers(4, 24), left : left + rng.integers(4, 20)] = float(rng.integers(2))
    return mask


def misplace(
    joints: npt.NDArray[np.float32], height: int, width: int, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Joints (B, 18, 2) as a model might find them: beside their place, some missing, at times left for right."""
    count = len(joints)
    found = joints + rng.normal(0, 1, joints.shape) * rng.choice([0.5, 1.2, 2.5], (count, 1, 1))
    found[rng.random(joints.shape[:2]) < 0.05] = np.nan
    swapped = rng.random(count) < 0.05
    found[swapped] = found[swapped][:, MIRRORED_JOINTS]
    lost = (rng.random(count) < 0.08)[:, None] & (rng.random(joints.shape[:2]) < 0.5)
    found[lost] = np.nan
    found[~((found >= 0) & (found <= (width, height))).all(2)] = np.nan
    return found.astype(np.float32)
