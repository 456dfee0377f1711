"""Augmentation in batch, on the device, from uint8: random crop and flip, background, normalisation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from data.annotation import Joint

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


@dataclass(frozen=True)
class Behind:
    """What is put behind the people of B images.

    Attributes:
        people: float32 (B, 1, H, W), how much of a pixel is the person, 0 to 1, at the size of the network's input.
        backgrounds: uint8 (B, 3, H, W).
    """

    people: Tensor
    backgrounds: Tensor


def soft_masks(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """Turn masks, uint8 (B, H, W), into `Behind.people`, float32 (B, 1, *size)."""
    return _resized(masks[:, None], size).div_(255)


def normalise(images: Tensor, wanted: Input) -> Tensor:
    """Turn uint8 (B, H, W, 3) into float32 (B, 3, *wanted.size), normalised; resizing is bilinear and antialiased."""
    return _scaled(_resized(images.permute(0, 3, 1, 2), wanted.size), wanted)


def _resized(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """uint8 (B, C, H, W) as float32 (B, C, *size), of 0 to 255."""
    # Channel by channel in memory: where they alternate, three numbers broadcast to all pixels are taken one at a time.
    resized = pixels.contiguous().float()
    if tuple(resized.shape[-2:]) != tuple(size):
        resized = F.interpolate(resized, size=size, mode="bilinear", antialias=True, align_corners=False)
    return resized


def _scaled(pixels: Tensor, wanted: Input) -> Tensor:
    """Pixels (B, 3, H, W) of 0 to 255, normalised in place."""
    mean = pixels.new_tensor(wanted.mean).view(3, 1, 1) * 255
    std = pixels.new_tensor(wanted.std).view(3, 1, 1) * 255
    return pixels.sub_(mean).div_(std)


def augment(
    images: Tensor, draws: Tensor, wanted: Input, crop: float, flip: float, behind: Behind | None = None
) -> Tensor:
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
        behind: what to put behind the people; None leaves it as it is.
    """
    shape = (len(images), 3, *wanted.size)
    augmented = torch.empty(shape, device=images.device, memory_format=torch.channels_last)
    numbers = 3 * wanted.size[0] * wanted.size[1]
    at_once = max(1, _CACHED // numbers) if images.device.type == "cpu" else max(1, len(images))
    for start in range(0, len(images), at_once):
        some = slice(start, start + at_once)
        pixels = _resized(images[some].permute(0, 3, 1, 2), wanted.size)
        if behind is not None:
            pixels = behind.backgrounds[some].float().lerp_(pixels, behind.people[some])
        augmented[some] = _crop_and_flip(_scaled(pixels, wanted), draws[some], wanted, crop, flip)
    return augmented


def _crop_and_flip(pixels: Tensor, draws: Tensor, wanted: Input, crop: float, flip: float) -> Tensor:
    grid = _window(draws.to(pixels), wanted, crop, flip)
    return F.grid_sample(pixels, grid, mode="bilinear", padding_mode="border", align_corners=False)


def augment_labels(maps: Tensor, draws: Tensor, wanted: Input, crop: float, flip: float) -> Tensor:
    """Crop and flip maps of labels as `augment` does their pictures with the same draws; labels are of the nearest.

    Args:
        maps: uint8 (B, H, W).
        draws: as for `augment`.
        wanted: size of the network's input.
        crop: at least 1; 1 is no crop.
        flip: probability of a horizontal flip.

    Returns:
        uint8 (B, *wanted.size).
    """
    labels = maps[:, None].float()
    grid = _window(draws.to(labels), wanted, crop, flip)
    taken = F.grid_sample(labels, grid, mode="nearest", padding_mode="border", align_corners=False)
    return taken[:, 0].to(torch.uint8)


def augment_joints(joints: Tensor, draws: Tensor, crop: float, flip: float) -> Tensor:
    """Move joints as `augment` moves their pictures with the same draws; left and right change names in a mirror.

    Args:
        joints: (B, 18, 2), x and y as shares of the picture's width and height, NaN where a joint is missing.
        draws: as for `augment`.
        crop: at least 1; 1 is no crop.
        flip: probability of a horizontal flip.

    Returns:
        (B, 18, 2), shares of the cropped picture, NaN also where a joint is cut off.
    """
    window, shift, mirror = _crop(draws.to(joints), crop, flip)
    across = mirror[:, None] * (2 * joints[:, :, 0] - 1 - shift[:, 1:]) / window
    down = (2 * joints[:, :, 1] - 1 - shift[:, :1]) / window
    moved = torch.stack([across, down], dim=2)
    mirrored = moved[:, [joint.mirrored for joint in Joint]]
    moved = torch.where(mirror[:, None, None] < 0, mirrored, moved)
    cut = (moved.abs() > 1).any(dim=2, keepdim=True)
    return ((moved + 1) / 2).masked_fill(cut, torch.nan)


def _window(draws: Tensor, wanted: Input, crop: float, flip: float) -> Tensor:
    """Give where each pixel of a cropped and flipped picture is taken from, (B, *wanted.size, 2), across and down."""
    window, shift, mirror = _crop(draws, crop, flip)
    height, width = wanted.size
    down = window * _centres(height, draws) + shift[:, :1]
    across = (window * mirror)[:, None] * _centres(width, draws) + shift[:, 1:]
    return torch.stack(torch.broadcast_tensors(across[:, None], down[:, :, None]), dim=3)


def _crop(draws: Tensor, crop: float, flip: float) -> tuple[float, Tensor, Tensor]:
    """Give the crop's share of a side, where its centre lies down and across, (B, 2), and -1 for a flip, else 1, (B,).

    Places are from -1 at one edge of the picture to 1 at the other.
    """
    window = 1 / crop
    shift = (2 * draws[:, :2] - 1) * (1 - window)
    return window, shift, torch.where(draws[:, 2] < flip, -1.0, 1.0).to(draws)


def _centres(count: int, like: Tensor) -> Tensor:
    """Give where the centres of so many pixels lie, from -1 at one edge of the picture to 1 at the other."""
    return (2 * torch.arange(count, device=like.device, dtype=like.dtype) + 1) / count - 1
