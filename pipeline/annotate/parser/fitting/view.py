"""Views: parts of pictures as the parser would frame them, not quite straight, some with the feet cut off."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from data.annotation import MIRRORED_JOINTS

_ROOM = 1.1  # as the parser's frames have

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class View:
    """A part of each of B pictures, in pixels: its middle (`down`, `across`), its size, whether flipped, how turned."""

    down: Numbers
    across: Numbers
    height: Numbers
    width: Numbers
    flipped: npt.NDArray[np.bool_]
    angle: Numbers

    @staticmethod
    def draw(parsings: npt.NDArray[np.uint8], rng: np.random.Generator, cut: float = 0.2, turn: float = 0.05) -> View:
        """Frame the person of each parsing (B, H, W), jittered; every other one is flipped.

        Args:
            parsings: labels.
            rng: decides the views.
            cut: share of those that end above the feet or begin below the head.
            turn: spread of the angle in radians.
        """
        count = len(parsings)
        top, left, bottom, right = boxes(parsings).T
        tall = np.maximum(_ROOM * (bottom - top), 2 * _ROOM * (right - left)) * np.exp(rng.normal(0.02, 0.08, count))
        down = (top + bottom) / 2 + rng.normal(0, 0.025, count) * tall
        across = (left + right) / 2 + rng.normal(0, 0.03, count) * tall
        height = tall * np.exp(rng.normal(0, 0.06, count))
        chosen, kept = rng.random(count) < cut, rng.uniform(0.5, 0.95, count)
        feet = rng.random(count) < 0.75
        part = kept * (bottom - top)
        down = np.where(chosen, np.where(feet, top + part / 2 - 3, bottom - part / 2 + 3), down)
        height = np.where(chosen, part + 6, height)
        width = np.where(chosen, np.maximum(height, rng.uniform(0.6, 1, count) * tall), tall) / 2
        return View(down, across, height, width, rng.random(count) < 0.5, rng.normal(0, turn, count))

    @staticmethod
    def framed(parsings: npt.NDArray[np.uint8]) -> View:
        """Frame the person of each parsing (B, H, W) just as in use."""
        top, left, bottom, right = boxes(parsings).T
        tall = np.maximum(_ROOM * (bottom - top), 2 * _ROOM * (right - left))
        straight = np.zeros(len(parsings))
        return View((top + bottom) / 2, (left + right) / 2, tall, tall / 2, straight > 0, straight)

    def images(self, images: npt.NDArray[np.uint8], height: int, width: int) -> torch.Tensor:
        """See images (B, H, W, 3), bilinear: (B, 3, height, width) of 0 to 1; their borders go on beyond them."""
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().float() / 255
        grid = self._grid(images.shape[1:3], height, width)
        return functional.grid_sample(pixels, grid, "bilinear", "border", align_corners=False).contiguous()

    def labels(self, parsings: npt.NDArray[np.uint8], height: int, width: int) -> torch.Tensor:
        """See parsings (B, H, W) by nearest neighbour: int64 (B, height, width), background beyond them."""
        labels = torch.from_numpy(parsings).float().unsqueeze(1)
        grid = self._grid(parsings.shape[1:], height, width)
        return functional.grid_sample(labels, grid, "nearest", "zeros", align_corners=False)[:, 0].round().long()

    def joints(
        self, joints: npt.NDArray[np.float32], size: tuple[int, ...], seen: tuple[int, int]
    ) -> npt.NDArray[np.float32]:
        """See joints so; NaN outside, and a flip makes left hands right ones.

        Args:
            joints: (B, 18, 2), in pixels of the pictures.
            size: height and width of the pictures.
            seen: height and width that the view is seen in.
        """
        theta = self._theta(*size)
        within = 2 * joints / np.array(size[::-1], np.float32) - 1 - theta[:, None, :, 2]
        there = np.einsum("bij,bkj->bki", np.linalg.inv(theta[:, :, :2]), within)
        placed = (there + 1) * np.array(seen[::-1]) / 2
        placed = np.where(self.flipped[:, None, None], placed[:, MIRRORED_JOINTS], placed).astype(np.float32)
        placed[~((placed >= 0) & (placed <= np.array(seen[::-1]))).all(2)] = np.nan
        return placed

    def _grid(self, size: tuple[int, ...], height: int, width: int) -> torch.Tensor:
        theta = torch.from_numpy(self._theta(*size)).float()
        return functional.affine_grid(theta, [len(theta), 1, height, width], align_corners=False)

    def _theta(self, rows: int, columns: int) -> Numbers:
        """From places in the view to those in the picture, both from -1 to 1: (B, 2, 3)."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        width = np.where(self.flipped, -self.width, self.width)
        theta = np.empty((len(cos), 2, 3))
        theta[:, 0] = np.stack([cos * width, -sin * self.height, 2 * self.across - columns], 1) / columns
        theta[:, 1] = np.stack([sin * width, cos * self.height, 2 * self.down - rows], 1) / rows
        return theta


def boxes(parsings: npt.NDArray[np.uint8]) -> Numbers:
    """Top, left, bottom, right (B, 4) of the person in each parsing (B, H, W)."""
    person = parsings > 0
    rows, columns = np.asarray(person.any(2)), np.asarray(person.any(1))
    return np.stack(
        [
            rows.argmax(1),
            columns.argmax(1),
            rows.shape[1] - rows[:, ::-1].argmax(1),
            columns.shape[1] - columns[:, ::-1].argmax(1),
        ],
        1,
    ).astype(np.float64)
