"""Pose transfer's own parts: the parsing of the new pose, and the carrying of detail from where it was."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from pipeline.pise.model.blocks import DecoderBlock, EncoderBlock, GatedConvolution, OutputHead
from pipeline.pise.model.parts import JOINTS, REGIONS

VGG_CHANNELS = 256

_SHARPNESS = 0.01
"""What similarities are divided by before the softmax, as in the published network: small is sharp."""


class ParsingNetwork(nn.Module):
    """The parsing that a person would have in another pose."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = _down(REGIONS + 2 * JOINTS, channels, 2 * channels)
        self.conv2 = _down(2 * channels, 4 * channels, 4 * channels)
        self.conv3 = _down(4 * channels, 8 * channels, 8 * channels)
        self.conv4 = _down(8 * channels, 16 * channels, 16 * channels)
        self.deform3 = GatedConvolution(16 * channels)
        self.deform4 = GatedConvolution(16 * channels)
        self.up1 = _up(16 * channels, 8 * channels)
        self.up2 = _up(8 * channels, 4 * channels)
        self.up3 = _up(4 * channels, 2 * channels)
        self.up4 = _up(2 * channels, channels)
        self.parout = OutputHead(channels, REGIONS, slope=0.2, learned=False)

    def forward(self, parsing: torch.Tensor, pose: torch.Tensor, target_pose: torch.Tensor) -> torch.Tensor:
        """Move a parsing (B, 8, H, W), one-hot, from pose to target pose, both (B, 18, H, W).

        Returns:
            The soft parsing (B, 8, H, W), in [0, 1].
        """
        x = torch.cat([parsing, pose, target_pose], 1)
        x = self.conv4(self.conv3(self.conv2(self.conv1(x))))
        x = self.deform4(self.deform3(x))
        x = self.up4(self.up3(self.up2(self.up1(x))))
        return (self.parout(x) + 1) / 2


class Correspondence(nn.Module):
    """Scale and shift the code by detail of the source, carried to where it belongs by attention over positions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.vgg = _vgg_to_conv3_1()
        self.theta = nn.Conv2d(4 * channels + 3, VGG_CHANNELS, 1)
        self.phi = nn.Conv2d(VGG_CHANNELS + 3, VGG_CHANNELS, 1)
        self.get_gamma = nn.Conv2d(VGG_CHANNELS, 1, 1, bias=False)
        self.get_beta = nn.Conv2d(VGG_CHANNELS, 1, 1, bias=False)

    def forward(self, code: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        """Scale and shift the target's code (B, 4C, h, w) by the source image (B, 3, 4h, 4w); the same shape again."""
        features = self.vgg(image)
        target = _descriptors(self.theta(_located(code)))
        source = _descriptors(self.phi(_located(features)))
        attention = torch.softmax(source.transpose(1, 2) @ target / _SHARPNESS, dim=2)
        maps = torch.cat([self.get_gamma(features), self.get_beta(features)], 1).flatten(2)
        gamma, beta = (maps @ attention).unflatten(2, code.shape[2:]).split(1, 1)
        return code * (1 + gamma) + beta


def _down(inputs: int, hidden: int, outputs: int) -> EncoderBlock:
    return EncoderBlock(inputs, outputs, hidden, slope=0.2, learned=False)


def _up(inputs: int, outputs: int) -> DecoderBlock:
    return DecoderBlock(inputs, outputs, slope=0.2, learned=False)


def _vgg_to_conv3_1() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 64, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(64, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(64, 128, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(128, 128, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(128, VGG_CHANNELS, 3, padding=1),
        nn.ReLU(),
    )


def _located(features: torch.Tensor) -> torch.Tensor:
    """Features of unit length over channels, with x, y in [-1, 1] and the distance from the middle appended."""
    batch, _, height, width = features.shape
    x = torch.linspace(-1, 1, width, device=features.device, dtype=features.dtype).expand(height, width)
    y = torch.linspace(-1, 1, height, device=features.device, dtype=features.dtype)[:, None].expand(height, width)
    place = torch.stack([x, y, torch.hypot(x, y)]).expand(batch, 3, height, width)
    return torch.cat([functional.normalize(features), place], 1)


def _descriptors(features: torch.Tensor) -> torch.Tensor:
    """3x3 neighbourhoods (B, 9c, hw), centred and of unit length."""
    patches = functional.unfold(features, 3, padding=1)
    return functional.normalize(patches - patches.mean(1, keepdim=True))
