"""MGN's network (Wang et al. 2018): three branches that look at a picture as a whole, as two and as three stripes."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainer.encoder.networks.stages import channels, with_stride

REDUCED = 256
"""Numbers of a vector: each branch has one of the whole picture and one of each stripe."""
_STRIPES = (1, 2, 3)


class Branches(nn.Module):
    """Stages up to conv4_1, then three copies of what follows; eight vectors of 256 numbers are the feature.

    The first branch halves the picture once more before the last stage, the others do not. Pooling is by maximum; each
    vector has its own 1x1 convolution, batch norm and ReLU, as in github.com/seathiefwang/MGN-pytorch.
    """

    def __init__(self, stages: list[nn.Sequential]) -> None:
        super().__init__()
        first, second, third, last = stages
        self.shared = nn.Sequential(first, second, third[0])
        self.branches = nn.ModuleList(
            nn.Sequential(copy.deepcopy(third[1:]), with_stride(last, 2 if parts == 1 else 1)) for parts in _STRIPES
        )
        heads = sum(1 if parts == 1 else 1 + parts for parts in _STRIPES)
        self.reduce = nn.ModuleList(_reduction(channels(last)) for _ in range(heads))

    def forward(self, images: Tensor) -> Tensor:
        """Give vectors (B, 8 x 256): the three of the whole picture first."""
        return self.parts(images).flatten(1)

    def parts(self, images: Tensor) -> Tensor:
        """Give the eight vectors, (B, 8, 256): three of the whole picture, then two and three of stripes."""
        shared = self.shared(images)
        maps = [branch(shared) for branch in self.branches]
        pooled = [F.adaptive_max_pool2d(each, 1) for each in maps]
        for each, parts in zip(maps[1:], _STRIPES[1:], strict=True):
            pooled += F.adaptive_max_pool2d(each, (parts, 1)).split(1, dim=2)
        return torch.stack([reduce(each).flatten(1) for reduce, each in zip(self.reduce, pooled, strict=True)], dim=1)


def _reduction(inner: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inner, REDUCED, 1, bias=False), nn.BatchNorm2d(REDUCED), nn.ReLU())
