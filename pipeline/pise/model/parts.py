"""Parts: the encoders, the region normalisation and the decoder of PISE (Zhang et al., CVPR 2021)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from data.annotation import Joint, Region
from pipeline.pise.model.blocks import DecoderBlock, EncoderBlock, GatedConvolution, OutputHead, ResidualBlock
from pipeline.pise.model.style import Style

REGIONS = len(Region)
JOINTS = len(Joint)


def inside(parsing: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Find which pixels lie in each region after shrinking by nearest neighbour.

    A value other than exactly 0 counts as inside, as in the published networks, so regions of a soft parsing overlap.

    Args:
        parsing: (B, 8, H, W), one-hot or soft.
        height: rows to shrink to.
        width: columns to shrink to.

    Returns:
        Booleans (B, 8, height, width).
    """
    return functional.interpolate(parsing, (height, width)) != 0


class StyleEncoder(nn.Module):
    """The look of each region of a picture, as one code a region."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block0 = EncoderBlock(3, 2 * channels)
        self.block1 = EncoderBlock(2 * channels, 4 * channels)
        self.block2 = EncoderBlock(4 * channels, 4 * channels)
        self.block3 = EncoderBlock(4 * channels, 4 * channels)
        self.block4 = DecoderBlock(4 * channels, 4 * channels)
        self.block5 = DecoderBlock(4 * channels, 4 * channels)
        self.get_code = nn.Sequential(nn.Conv2d(4 * channels, 4 * channels, 1), nn.Tanh())

    def forward(self, image: torch.Tensor, parsing: torch.Tensor) -> Style:
        """Average the style map over each region (zero where the region has no pixel), and over all pixels.

        Args:
            image: (B, 3, H, W) in [-1, 1].
            parsing: (B, 8, H, W) one-hot.

        Returns:
            Codes (B, 9, 4C), the ninth that of the whole picture, and present (B, 8) of 0 and 1.
        """
        style = self.block3(self.block2(self.block1(self.block0(image))))
        style = self.get_code(self.block5(self.block4(style)))
        masks = inside(parsing, *style.shape[2:]).flatten(2).to(style.dtype)
        pixels = masks.sum(2)
        style = style.flatten(2)
        regions = (masks @ style.transpose(1, 2)) / pixels.clamp(min=1).unsqueeze(2)
        codes = torch.cat([regions, style.mean(2).unsqueeze(1)], 1)
        return Style(codes, (pixels > 0).to(style.dtype))


class LayoutEncoder(nn.Module):
    """Where everything is in the picture to be painted; knows nothing of the clothing template."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block0 = EncoderBlock(2 * REGIONS + JOINTS + 3, 2 * channels)
        self.block1 = EncoderBlock(2 * channels, 4 * channels)
        self.block2 = EncoderBlock(4 * channels, 4 * channels)
        self.block3 = EncoderBlock(4 * channels, 4 * channels)
        self.deform3 = GatedConvolution(4 * channels)
        self.deform4 = GatedConvolution(4 * channels)
        self.block4 = DecoderBlock(4 * channels, 4 * channels)
        self.block5 = DecoderBlock(4 * channels, 4 * channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Encode source parsing, target parsing, target pose and source image, (B, 37, H, W) → (B, 4C, H/4, W/4)."""
        x = self.block3(self.block2(self.block1(self.block0(x))))
        return self.block5(self.block4(self.deform4(self.deform3(x))))


class RegionNorm(nn.Module):
    """Region normalisation: batch norm of the layout, scaled and shifted by the style of the region at each pixel.

    The style map is constant inside a region, so a 3x3 convolution of it equals one of the 8 region masks with kernels
    K[k, j] = W[k] s_j made anew for each set of codes (s_j being the style of region j): 8 input channels, not 4C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        length = 4 * channels
        self.norm = nn.BatchNorm2d(length)
        self.fc_weight = nn.Parameter(torch.empty(REGIONS, length, length))
        self.fc_bias = nn.Parameter(torch.empty(REGIONS, length))
        bound = length**-0.5  # as nn.Linear starts
        nn.init.uniform_(self.fc_weight, -bound, bound)
        nn.init.uniform_(self.fc_bias, -bound, bound)
        self.conv_gamma = nn.Conv2d(length, length, 3, padding=1)
        self.conv_beta = nn.Conv2d(length, length, 3, padding=1)

    def forward(
        self, layout: torch.Tensor, parsing: torch.Tensor, codes: torch.Tensor, present: torch.Tensor
    ) -> torch.Tensor:
        """Dress each layout in S sets of codes.

        Args:
            layout: (B, 4C, h, w).
            parsing: (B, 8, H, W), the target's. Where regions overlap the highest wins.
            codes: (B, S, 9, 4C).
            present: (B, S, 8); the ninth code stands in for the code of a region that is 0 here.

        Returns:
            (B, S, 4C, h, w), channels-last in memory, which is how the convolutions after it are fastest.
        """
        channels, height, width = layout.shape[1:]
        region_codes = torch.where(present.unsqueeze(-1) != 0, codes[:, :, :REGIONS], codes[:, :, REGIONS:])
        styles = torch.einsum("bsjc,jdc->bsjd", region_codes, self.fc_weight) + self.fc_bias
        weight = torch.cat([self.conv_gamma.weight, self.conv_beta.weight])
        bias = torch.cat([part.get_parameter("bias") for part in (self.conv_gamma, self.conv_beta)])
        kernels = torch.einsum("bsjc,dckl->bsjkld", functional.relu(styles), weight).flatten(2, 4)

        masks = inside(parsing, height, width)
        above = masks.flip(1).cumsum(1).flip(1) - masks.long()
        patches = functional.unfold((masks & (above == 0)).to(kernels.dtype), 3, padding=1).transpose(1, 2)
        scale_shift = patches.unsqueeze(1) @ kernels + bias
        scale_shift = scale_shift.transpose(2, 3).unflatten(3, (height, width))
        gamma, beta = scale_shift.split(channels, 2)
        return torch.addcmul(beta, self.norm(layout).unsqueeze(1), 1 + gamma)


class Decoder(nn.Module):
    """Features at a quarter of the size to the picture."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block0 = DecoderBlock(4 * channels, 2 * channels, hidden=4 * channels)
        self.block1 = ResidualBlock(2 * channels)
        self.block2 = DecoderBlock(2 * channels, channels, hidden=2 * channels)
        self.block3 = ResidualBlock(channels)
        self.out = OutputHead(channels, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Paint (B, 4C, H/4, W/4) → (B, 3, H, W) in [-1, 1]."""
        return self.out(self.block3(self.block2(self.block1(self.block0(x)))))
