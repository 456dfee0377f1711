"""Augmentation in batch, on the device, from uint8: random crop and flip, each image on its own, and normalisation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

# Of ImageNet, as torchvision's weights expect.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
DRAWS = 3
"""Random numbers that the augmentation of one image takes."""
_CACHED = 1 << 20  # numbers of pictures that a CPU's caches hold while they are worked on


@dataclass(frozen=True)
class Input:
    """What pictures a network takes: height and width in pixels, mean and standard deviation of colours in [0, 1]."""

    size: tuple[int, int] = (256, 128)
    mean: tuple[float, ...] = MEAN
    std: tuple[float, ...] = STD


def normalise(images: Tensor, wanted: Input) -> Tensor:
    """Turn uint8 (B, H, W, 3) into float32 (B, 3, *wanted.size), normalised; resizing is bilinear and antialiased."""
    # Channel by channel in memory: where they alternate, three numbers broadcast to all pixels are taken one at a time.
    pixels = images.permute(0, 3, 1, 2).contiguous().float()
    if tuple(pixels.shape[-2:]) != tuple(wanted.size):
        pixels = F.interpolate(pixels, size=wanted.size, mode="bilinear", antialias=True, align_corners=False)
    mean = pixels.new_tensor(wanted.mean).view(3, 1, 1) * 255
    std = pixels.new_tensor(wanted.std).view(3, 1, 1) * 255
    return pixels.sub_(mean).div_(std)


def augment(images: Tensor, draws: Tensor, wanted: Input, crop: float, flip: float) -> Tensor:
    """Give a network's input, float32 (B, 3, *wanted.size), each image cropped and flipped by its own draws.

    The crop is that of an image resized to `crop` times the size: a window of 1 / crop of each side, wholly inside the
    picture, so that nothing is padded. The paper says "random crop" and no more; Cluster Contrast pads by 10 pixels,
    here 1.125 stands for it. Window, resizing and flip are one bilinear sampling. The result is channels-last in
    memory, which is how convolutions are fastest.

    Args:
        images: uint8 (B, H, W, 3).
        draws: (B, DRAWS), uniform in [0, 1): place of the crop down and across, and the flip.
        wanted: size and colours of the network's input.
        crop: at least 1; 1 is no crop.
        flip: probability of a horizontal flip.
    """
    shape = (len(images), 3, *wanted.size)
    augmented = torch.empty(shape, device=images.device, memory_format=torch.channels_last)
    numbers = 3 * wanted.size[0] * wanted.size[1]
    at_once = max(1, _CACHED // numbers) if images.device.type == "cpu" else max(1, len(images))
    for to, some, drawn in zip(augmented.split(at_once), images.split(at_once), draws.split(at_once), strict=True):
        to.copy_(_augment_some(some, drawn, wanted, crop, flip))
    return augmented


def _augment_some(images: Tensor, draws: Tensor, wanted: Input, crop: float, flip: float) -> Tensor:
    pixels = normalise(images, wanted)
    window = 1 / crop
    draws = draws.to(pixels)
    shift = (2 * draws[:, :2] - 1) * (1 - window)
    mirror = torch.where(draws[:, 2] < flip, -1.0, 1.0).to(pixels)
    height, width = wanted.size
    down = window * _centres(height, pixels) + shift[:, :1]
    across = (window * mirror)[:, None] * _centres(width, pixels) + shift[:, 1:]
    grid = torch.stack(torch.broadcast_tensors(across[:, None], down[:, :, None]), dim=3)
    return F.grid_sample(pixels, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _centres(count: int, like: Tensor) -> Tensor:
    """Give where the centres of so many pixels lie, from -1 at one edge of the picture to 1 at the other."""
    return (2 * torch.arange(count, device=like.device, dtype=like.dtype) + 1) / count - 1
