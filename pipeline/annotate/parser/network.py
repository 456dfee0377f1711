"""The network: which of the 8 regions each pixel of a framed person belongs to."""

from __future__ import annotations

import itertools

import torch
from torch import nn
from torch.nn import functional

from data.annotation import Joint, Region

HEIGHT, WIDTH = 128, 64
"""Size of the frame that it looks at, in pixels."""

CHANNELS = (16, 32, 64, 96, 128)

_INPUTS = 3 + 1 + len(Joint)


class ParsingNetwork(nn.Module):
    """A U-Net (Ronneberger et al., 2015) of five levels, small enough for a CPU.

    Args:
        channels: of each level, from the frame's own size down; each level has half the size of the one before.
    """

    def __init__(self, channels: tuple[int, ...] = CHANNELS) -> None:
        super().__init__()
        levels = list(itertools.pairwise(channels))
        self.stem = _unit(_INPUTS, channels[0])
        self.down = nn.ModuleList(
            nn.Sequential(_unit(fine, coarse, 2), _unit(coarse, coarse)) for fine, coarse in levels
        )
        self.up = nn.ModuleList(_unit(fine + coarse, fine) for fine, coarse in levels)
        self.out = nn.Conv2d(channels[0], len(Region), 1)

    def forward(self, image: torch.Tensor, mask: torch.Tensor, pose: torch.Tensor) -> torch.Tensor:
        """Give the logits of the regions.

        Args:
            image: (B, 3, 128, 64) of 0 to 1.
            mask: (B, 1, 128, 64), the probability that a pixel belongs to the person.
            pose: (B, 18, 128, 64), joint maps as `data.annotation.pose_maps` makes them.

        Returns:
            (B, 8, 128, 64).
        """
        # Photos have a mean near 0.45 and a spread near 0.25.
        x = self.stem(torch.cat([(image - 0.45) * 4, mask * 2 - 1, pose], 1))
        passed = []
        for level in self.down:
            passed.append(x)
            x = level(x)
        for level, fine in zip(reversed(self.up), reversed(passed), strict=True):
            x = level(torch.cat([fine, functional.interpolate(x, scale_factor=2)], 1))
        logits: torch.Tensor = self.out(x)
        return logits


def _unit(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )
