"""The square: a turned part of a photo as the network sees it, and the way back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from pipeline.annotate.blazepose.network import SIDE


@dataclass(frozen=True)
class Square:
    """A square of `side` pixels of the photo around `centre` (x, y), its upper edge turned clockwise by `angle`.

    Points are in pixels, and the centre of the first pixel is 0.5. Beyond the photo its border pixels go on, which the
    network takes better than black: 90.1 % against 89.0 % of joints within 5 % of the body's height.
    """

    centre: tuple[float, float]
    side: float
    angle: float = 0.0

    def look(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """What is in the square of a photo (H, W, 3): float32 (256, 256, 3) of 0 to 1."""
        height, width = pixels.shape[:2]
        shrink = min(1.0, SIDE / self.side)
        if shrink < 1:
            # Otherwise pixels between those that are looked up would count for nothing.
            small = (max(1, round(width * shrink)), max(1, round(height * shrink)))
            pixels = np.asarray(Image.fromarray(pixels).resize(small, Image.Resampling.BILINEAR))
        steps = np.arange(SIDE) + 0.5
        points = self.to_photo(np.stack(np.meshgrid(steps, steps), -1))
        points *= np.array([pixels.shape[1] / width, pixels.shape[0] / height])
        at = [points[..., 1] - 0.5, points[..., 0] - 0.5]
        colours = np.moveaxis(pixels, -1, 0)
        looked = [ndimage.map_coordinates(colour, at, np.float32, order=1, mode="nearest") for colour in colours]
        return np.stack(looked, -1) / np.float32(255)

    def to_photo(self, points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Points (..., 2) of the square in the photo."""
        return (points - SIDE / 2) @ self._axes.T + np.array(self.centre)

    def mask_in_photo(self, mask: npt.NDArray[np.float32], height: int, width: int) -> npt.NDArray[np.float32]:
        """A mask (256, 256) laid back on a photo: float32 (height, width), 0 outside the square."""
        back = np.linalg.inv(self._axes)
        start = SIDE / 2 - back @ np.array(self.centre)
        affine = (*back[0], start[0], *back[1], start[1])
        laid = Image.fromarray(mask).transform(
            (width, height), Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR
        )
        return np.asarray(laid)

    @property
    def _axes(self) -> npt.NDArray[np.float64]:
        """Columns: where a step to the right and one down in the square lead in the photo."""
        across, down = np.cos(self.angle), np.sin(self.angle)
        return np.array([[across, -down], [down, across]]) * self.side / SIDE
