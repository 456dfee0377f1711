"""The discriminator: tells painted patches from photographed ones."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from data.annotation import Region


class Discriminator(nn.Module):
    """Patch discriminator, given the parsing too (Isola et al. 2017), with spectral norm (Miyato et al. 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.model = nn.Sequential(
            spectral_norm(nn.Conv2d(3 + len(Region), channels, 4, stride=2, padding=1)),
            nn.LeakyReLU(0.2),
            spectral_norm(nn.Conv2d(channels, 2 * channels, 4, stride=2, padding=1)),
            nn.LeakyReLU(0.2),
            spectral_norm(nn.Conv2d(2 * channels, 4 * channels, 3, padding=1)),
            nn.LeakyReLU(0.2),
            spectral_norm(nn.Conv2d(4 * channels, 1, 3, padding=1)),
        )

    def forward(self, image: torch.Tensor, parsing: torch.Tensor) -> torch.Tensor:
        """How real each patch looks, (B, 1, H/4, W/4); image (B, 3, H, W) in [-1, 1], parsing (B, 8, H, W)."""
        return self.model(torch.cat([image, parsing], 1))
