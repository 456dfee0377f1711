"""The canvas: a photo and its annotation at the size a generator was made for, and the painting cropped back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch.nn import functional

from data.annotation import Annotation
from data.runtime.errors import InputError
from pipeline.settings import PADDINGS

MULTIPLE = 16
"""Sides that a generator takes are multiples of this."""

Box = tuple[int, int, int, int]
"""Top, left, bottom, right of the photo on its canvas, in pixels."""


@dataclass(frozen=True)
class Canvas:
    """A canvas of height x width pixels.

    With padding "edge" (the photo's border pixels go on) or "white", the photo keeps its aspect, is as large as fits,
    and lies in the middle; without, it is stretched over the whole canvas. Edges are the default where there is a
    choice: a generator's norms are taken over the canvas, so that white borders tinge all of the painting (seen on
    walkers), unless its own photos had them.

    Raises:
        InputError: a side is not a multiple of 16, or the padding is unknown.
    """

    height: int
    width: int
    padding: str | None = None

    def __post_init__(self) -> None:
        """Check the sides and the padding."""
        if min(self.height, self.width) < MULTIPLE or self.height % MULTIPLE or self.width % MULTIPLE:
            raise InputError(f"size {self.height}x{self.width}: both sides must be multiples of {MULTIPLE}")
        if self.padding not in (None, *PADDINGS):
            raise InputError(f"padding {self.padding!r} is unknown: choose {' or '.join(PADDINGS)}")

    def fit(
        self, image: npt.NDArray[np.uint8], annotation: Annotation
    ) -> tuple[npt.NDArray[np.uint8], Annotation, Box]:
        """Lay a photo (h, w, 3) on the canvas: image (height, width, 3), annotation and the photo's box there."""
        top, left, bottom, right = box = self._box(*image.shape[:2])
        small = resize(image, (bottom - top, right - left))
        around = ((top, self.height - bottom), (left, self.width - right))
        if self.padding == "white":
            whole = np.pad(small, (*around, (0, 0)), constant_values=255)
        else:
            whole = np.pad(small, (*around, (0, 0)), mode="edge")
        placed = annotation.resize(bottom - top, right - left)
        joints = placed.joints + np.array([left, top], np.float32)
        return whole, Annotation(joints, np.pad(placed.parsing, around)), box

    def _box(self, height: int, width: int) -> Box:
        if self.padding is None:
            return 0, 0, self.height, self.width
        scale = min(self.height / height, self.width / width)
        rows = min(self.height, max(1, round(height * scale)))
        columns = min(self.width, max(1, round(width * scale)))
        top, left = (self.height - rows) // 2, (self.width - columns) // 2
        return top, left, top + rows, left + columns


def crop(painted: torch.Tensor, box: Box, size: tuple[int, int]) -> torch.Tensor:
    """Cut the photo's box out of paintings (N, 3, H, W) on a canvas and resize it to `size`: (N, 3, height, width)."""
    top, left, bottom, right = box
    inside = painted[..., top:bottom, left:right]
    if inside.shape[-2:] == size:
        return inside
    return functional.interpolate(inside, size, mode="bilinear", antialias=True)


def crop_labels(parsings: npt.NDArray[np.uint8], box: Box, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Cut the photo's box out of parsings (N, h, w) on a canvas and resize it to `size`, by nearest neighbour."""
    top, left, bottom, right = box
    inside = [Image.fromarray(parsing[top:bottom, left:right]) for parsing in parsings]
    return np.stack([np.asarray(picture.resize(size[::-1], Image.Resampling.NEAREST)) for picture in inside])


def resize(image: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Resize a photo (h, w, 3) to `size` (height, width), bilinear and antialiased."""
    if image.shape[:2] == size:
        return image
    return np.asarray(Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.BILINEAR))
