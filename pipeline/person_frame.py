"""The frame: a part of a photo, twice as high as wide, that holds the person and little else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

# Of the person's height or twice their width; what the parser and the people's generator are fitted with.
_ROOM = 1.1
_SURE = 0.5
_SMALLEST = 16.0  # pixels: the height of a frame around a few stray ones


@dataclass(frozen=True)
class Frame:
    """A part of a photo, in its pixels; it may reach beyond the photo.

    Attributes:
        top: where it begins, down.
        left: where it begins, across.
        height: of it; it is half as wide.
    """

    top: float
    left: float
    height: float

    @staticmethod
    def around(mask: npt.NDArray[np.floating[Any]]) -> Frame:
        """Frame the largest whole piece of a person's mask (H, W); the middle of the photo where the mask is empty."""
        pieces, count = ndimage.label(mask > _SURE)
        if not count:
            height, width = mask.shape
            return Frame(0.0, (width - height / 2) / 2, float(height))
        largest = 1 + int(np.bincount(pieces.ravel())[1:].argmax())
        down, across = ndimage.find_objects(pieces)[largest - 1]
        height = max(_ROOM * (down.stop - down.start), 2 * _ROOM * (across.stop - across.start), _SMALLEST)
        middle = (down.start + down.stop) / 2, (across.start + across.stop) / 2
        return Frame(middle[0] - height / 2, middle[1] - height / 4, float(height))

    def see(self, pixels: npt.NDArray[Any], height: int, width: int) -> npt.NDArray[Any]:
        """What is in the frame, (height, width) or (height, width, 3), bilinear and antialiased.

        Args:
            pixels: a photo, uint8 (H, W, 3), whose border goes on beyond it; or a map, float32 (H, W), that is 0 there.
            height: rows to see it in.
            width: columns.
        """
        rows, columns = pixels.shape[:2]
        box = np.array([self.left, self.top, self.left + self.height / 2, self.top + self.height])
        before = np.ceil(np.maximum(-box[:2], 0)).astype(int)
        after = np.ceil(np.maximum(box[2:] - (columns, rows), 0)).astype(int)
        around = ((before[1], after[1]), (before[0], after[0]))
        padded = np.pad(pixels, around) if pixels.ndim == 2 else np.pad(pixels, (*around, (0, 0)), mode="edge")
        left, top, right, bottom = (box + np.tile(before, 2)).tolist()
        place = (left, top, right, bottom)
        seen = Image.fromarray(padded).resize((width, height), Image.Resampling.BILINEAR, box=place)
        return np.asarray(seen)

    def joints(self, joints: npt.NDArray[np.float32], height: int, width: int) -> npt.NDArray[np.float32]:
        """Where joints (18, 2) of the photo are in the frame as it is seen; NaN for those outside."""
        size = np.array([width, height], np.float32)
        seen = (joints - np.array([self.left, self.top])) / np.array([self.height / 2, self.height]) * size
        outside = ~((seen >= 0) & (seen <= size)).all(1)
        seen[outside] = np.nan
        return seen.astype(np.float32)

    def back(self, seen: npt.NDArray[np.float32], rows: int, columns: int, outside: float) -> npt.NDArray[np.float32]:
        """A map (height, width) of what was seen laid back on the photo: (rows, columns), bilinear."""
        height, width = seen.shape
        down, across = height / self.height, width / (self.height / 2)
        affine = (across, 0.0, -self.left * across, 0.0, down, -self.top * down)
        picture = Image.fromarray(np.pad(seen, 1, mode="edge"))
        shifted = (*affine[:2], affine[2] + 1, *affine[3:5], affine[5] + 1)
        laid = np.asarray(
            picture.transform((columns, rows), Image.Transform.AFFINE, shifted, Image.Resampling.BILINEAR)
        )
        y, x = np.arange(rows)[:, None] + 0.5 - self.top, np.arange(columns)[None] + 0.5 - self.left
        inside = (y >= 0) & (y < self.height) & (x >= 0) & (x < self.height / 2)
        return np.where(inside, laid, np.float32(outside))
