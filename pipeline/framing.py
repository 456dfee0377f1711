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
from pipeline.person_frame import Frame
from pipeline.settings import PADDINGS

MULTIPLE = 16
"""Sides that a generator takes are multiples of this."""

# One pixel in twenty is brighter than that; the median of the pictures that the people's generator is fitted to.
_BRIGHT_PIXELS, _DAYLIGHT = 95, 0.73
_LEAST_BRIGHTENED, _MOST_BRIGHTENED = 0.5, 4.0

PERSON = "person"
"""In place of a padding: the canvas frames the person, and the photo may reach beyond it."""

Box = tuple[int, int, int, int]
"""Top, left, bottom, right of the photo on its canvas, in pixels; beyond the canvas where that frames the person."""


@dataclass(frozen=True)
class Canvas:
    """A canvas of height x width pixels.

    With padding "edge" (the photo's border pixels go on) or "white", the photo keeps its aspect, is as large as fits,
    and lies in the middle; without, it is stretched over the whole canvas. Edges are the default where there is a
    choice: a generator's norms are taken over the canvas, so that white borders tinge all of the painting (seen on
    walkers), unless its own photos had them. With "person", for generators that are fitted so, the person of the
    annotation fills it, in the light of day (see `exposure`), and only they count: it must be twice as high as wide.

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
        if self.padding not in (None, PERSON, *PADDINGS):
            raise InputError(f"padding {self.padding!r} is unknown: choose {' or '.join(PADDINGS)}")

    def fit(
        self, image: npt.NDArray[np.uint8], annotation: Annotation
    ) -> tuple[npt.NDArray[np.uint8], Annotation, Box]:
        """Lay a photo (h, w, 3) on the canvas: image (height, width, 3), annotation and the photo's box there."""
        if self.padding == PERSON:
            return self._fit_person(image, annotation)
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

    def _fit_person(
        self, image: npt.NDArray[np.uint8], annotation: Annotation
    ) -> tuple[npt.NDArray[np.uint8], Annotation, Box]:
        frame = Frame.around((annotation.parsing > 0).astype(np.float32))
        scale = self.height / frame.height
        rows, columns = (max(1, round(side * scale)) for side in image.shape[:2])
        top, left = round(-frame.top * scale), round(-frame.left * scale)
        placed = annotation.resize(rows, columns)
        # Rows and columns of the canvas as the photo counts them; its border pixels go on beyond it.
        down, across = np.arange(self.height) - top, np.arange(self.width) - left
        inside = ((down >= 0) & (down < rows))[:, None] & ((across >= 0) & (across < columns))[None]
        there = np.ix_(down.clip(0, rows - 1), across.clip(0, columns - 1))
        parsing = np.where(inside, placed.parsing[there], 0).astype(np.uint8)
        joints = placed.joints + np.array([left, top], np.float32)
        joints[~((joints >= 0) & (joints <= (self.width, self.height))).all(1)] = np.nan
        whole = (resize(image, (rows, columns))[there] * exposure(image)).clip(0, 255).astype(np.uint8)
        return whole, Annotation(joints, parsing), (top, left, top + rows, left + columns)

    def _box(self, height: int, width: int) -> Box:
        if self.padding is None:
            return 0, 0, self.height, self.width
        scale = min(self.height / height, self.width / width)
        rows = min(self.height, max(1, round(height * scale)))
        columns = min(self.width, max(1, round(width * scale)))
        top, left = (self.height - rows) // 2, (self.width - columns) // 2
        return top, left, top + rows, left + columns


def exposure(image: npt.NDArray[np.uint8]) -> float:
    """Say by how much a photo (H, W, 3) must be brightened for its bright pixels to be as in the light of day."""
    bright = float(np.percentile(image.max(2), _BRIGHT_PIXELS)) / 255
    return float(np.clip(_DAYLIGHT / max(bright, 1 / 255), _LEAST_BRIGHTENED, _MOST_BRIGHTENED))


def crop(painted: torch.Tensor, box: Box, size: tuple[int, int]) -> torch.Tensor:
    """Cut the photo's box out of paintings (N, 3, H, W) on a canvas and resize it to `size`: (N, 3, height, width)."""
    top, left, bottom, right = box
    height, width = painted.shape[-2:]
    before, after = (max(-left, 0), max(-top, 0)), (max(right - width, 0), max(bottom - height, 0))
    whole = functional.pad(painted, (before[0], after[0], before[1], after[1]))
    inside = whole[..., top + before[1] : bottom + before[1], left + before[0] : right + before[0]]
    if inside.shape[-2:] == size:
        return inside
    return functional.interpolate(inside, size, mode="bilinear", antialias=True)


def crop_labels(parsings: npt.NDArray[np.uint8], box: Box, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Cut the photo's box out of parsings (N, h, w) on a canvas and resize it to `size`, by nearest neighbour."""
    top, left, bottom, right = box
    height, width = parsings.shape[1:]
    around = ((0, 0), (max(-top, 0), max(bottom - height, 0)), (max(-left, 0), max(right - width, 0)))
    whole = np.pad(parsings, around)[:, max(top, 0) :, max(left, 0) :]
    inside = [Image.fromarray(parsing[: bottom - top, : right - left]) for parsing in whole]
    return np.stack([np.asarray(picture.resize(size[::-1], Image.Resampling.NEAREST)) for picture in inside])


def resize(image: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Resize a photo (h, w, 3) to `size` (height, width), bilinear and antialiased."""
    if image.shape[:2] == size:
        return image
    return np.asarray(Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.BILINEAR))
