"""Pooling by maximum and mean together, as in the public code of CAL (Gu et al. 2022): 2 C numbers of C channels."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MaxAndAverage(nn.Module):
    """The stages of a backbone, then the greatest and the mean number of each channel, (B, 2 C)."""

    def __init__(self, stages: list[nn.Sequential]) -> None:
        super().__init__()
        self.stages = nn.Sequential(*stages)

    def forward(self, images: Tensor) -> Tensor:
        """Give vectors (B, 2 C): first the maxima, then the means."""
        maps = self.stages(images)
        return torch.cat([maps.amax(dim=(2, 3)), maps.mean(dim=(2, 3))], dim=1)
