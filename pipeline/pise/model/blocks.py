"""Blocks: the convolutional units that every part of PISE is made of."""

from __future__ import annotations

import torch
from torch import nn


def instance_norm(channels: int, learned: bool = True) -> nn.GroupNorm:
    """Make an instance norm as one group a channel: the same numbers, and channels-last tensors stay as they are."""
    return nn.GroupNorm(channels, channels, affine=learned)


class EncoderBlock(nn.Module):
    """Halve the size: (B, inputs, H, W) → (B, outputs, H/2, W/2)."""

    def __init__(
        self, inputs: int, outputs: int, hidden: int | None = None, slope: float = 0.1, learned: bool = True
    ) -> None:
        super().__init__()
        hidden = hidden or outputs
        self.model = nn.Sequential(
            instance_norm(inputs, learned),
            nn.LeakyReLU(slope, inplace=True),
            nn.Conv2d(inputs, hidden, 4, stride=2, padding=1),
            instance_norm(hidden, learned),
            nn.LeakyReLU(slope, inplace=True),
            nn.Conv2d(hidden, outputs, 3, padding=1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, inputs, H, W) → (B, outputs, H/2, W/2)."""
        return self.model(x)


class DecoderBlock(nn.Module):
    """Double the size: (B, inputs, H, W) → (B, outputs, 2H, 2W), a transposed convolution of the input added."""

    def __init__(
        self, inputs: int, outputs: int, hidden: int | None = None, slope: float = 0.1, learned: bool = True
    ) -> None:
        super().__init__()
        hidden = hidden or outputs
        self.model = nn.Sequential(
            instance_norm(inputs, learned),
            nn.LeakyReLU(slope, inplace=True),
            nn.Conv2d(inputs, hidden, 3, padding=1),
            instance_norm(hidden, learned),
            nn.LeakyReLU(slope, inplace=True),
            nn.ConvTranspose2d(hidden, outputs, 3, stride=2, padding=1, output_padding=1),
        )
        self.shortcut = nn.Sequential(
            nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, inputs, H, W) → (B, outputs, 2H, 2W)."""
        return self.model(x).add_(self.shortcut(x))


class ResidualBlock(nn.Module):
    """Two normalised convolutions added to their input, (B, channels, H, W) both ways."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.model = nn.Sequential(
            instance_norm(channels),
            nn.LeakyReLU(0.1, inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
            instance_norm(channels),
            nn.LeakyReLU(0.1, inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, channels, H, W) to the same shape."""
        return self.model(x).add_(x)


class GatedConvolution(nn.Module):
    """A convolution that a second one opens and shuts, then normalised; (B, channels, H, W) both ways."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gated_conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.mask_conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = instance_norm(channels, learned=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, channels, H, W) to the same shape."""
        opened = nn.functional.leaky_relu(self.gated_conv(x), 0.2) * torch.sigmoid(self.mask_conv(x))
        return self.norm(opened)


class OutputHead(nn.Module):
    """Features to a map in [-1, 1]: (B, inputs, H, W) → (B, outputs, H, W)."""

    def __init__(self, inputs: int, outputs: int, slope: float = 0.1, learned: bool = True) -> None:
        super().__init__()
        self.model = nn.Sequential(
            instance_norm(inputs, learned),
            nn.LeakyReLU(slope, inplace=True),
            nn.ReflectionPad2d(1),
            nn.Conv2d(inputs, outputs, 3),
            nn.Tanh(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, inputs, H, W) → (B, outputs, H, W) in [-1, 1]."""
        return self.model(x)
