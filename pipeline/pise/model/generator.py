"""The generator: a picture taken apart into style codes and a layout, and painted again from them."""

from __future__ import annotations

import torch
from torch import nn

from pipeline.pise.model.blocks import ResidualBlock
from pipeline.pise.model.correspondence import Correspondence, ParsingNetwork
from pipeline.pise.model.parts import Decoder, LayoutEncoder, RegionNorm, StyleEncoder
from pipeline.pise.model.style import Style

POSE_TRANSFER = "pose-transfer"
TEXTURE_TRANSFER = "texture-transfer"
KINDS = (POSE_TRANSFER, TEXTURE_TRANSFER)


class Generator(nn.Module):
    """PISE (Zhang et al., *PISE: Person Image Synthesis and Editing with Decoupled GAN*, CVPR 2021).

    Sizes: B pictures of H x W pixels, both multiples of 16; C is `channels`; a style code has 4C numbers. Images are
    float in [-1, 1]; poses (B, 18, H, W) hold a Gaussian of peak 1 a joint; parsings (B, 8, H, W) are one-hot over the
    regions of `data.annotation.Region`.

    Args:
        channels: how many the network is built on, C; 64 in the published checkpoints.
        kind: "texture-transfer" (changes clothes) or "pose-transfer" (changes the pose).
        size: (height, width) of the pictures that it is fitted to; None where that is not recorded.
        reshapes: whether it is fitted to paint into a parsing whose clothes have another shape than the source's.
        backdrop: whether it is fitted to people cut out of their photos (see `before_backdrop`): what it paints beside
            them is nothing to look at. The norms of its layers take the mean brightness out of every picture; before a
            backdrop that is always the same it can tell black from white all the same.
    """

    def __init__(
        self,
        channels: int = 64,
        kind: str = TEXTURE_TRANSFER,
        size: tuple[int, int] | None = None,
        reshapes: bool = False,
        backdrop: bool = False,
    ) -> None:
        super().__init__()
        if kind not in KINDS:
            raise ValueError(f"kind is {kind!r}: choose one of {', '.join(KINDS)}")
        self.channels = channels
        self.kind = kind
        self.size = size
        self.reshapes = reshapes
        self.backdrop = backdrop
        self.style_encoder = StyleEncoder(channels)
        self.layout_encoder = LayoutEncoder(channels)
        self.region_norm = RegionNorm(channels)
        self.res = ResidualBlock(4 * channels)
        self.decoder = Decoder(channels)
        if kind == POSE_TRANSFER:
            self.parsing_network = ParsingNetwork(channels // 2)
            self.correspondence = Correspondence(channels)
            self.res1 = ResidualBlock(4 * channels)

    def style(self, image: torch.Tensor, parsing: torch.Tensor) -> Style:
        """Find the style of pictures (B, 3, H, W): codes (B, 9, 4C), and which regions are present, (B, 8)."""
        return self.style_encoder(before_backdrop(image, parsing) if self.backdrop else image, parsing)

    def layout(
        self, image: torch.Tensor, pose: torch.Tensor, parsing: torch.Tensor, target_parsing: torch.Tensor
    ) -> torch.Tensor:
        """Find the layout of pictures in the target's pose and parsing.

        Args:
            image: (B, 3, H, W), the source.
            pose: (B, 18, H, W), the *target's* pose.
            parsing: (B, 8, H, W), the source's parsing.
            target_parsing: (B, 8, H, W), the target's parsing.

        Returns:
            The layout (B, 4C, H/4, W/4).
        """
        if self.backdrop:
            image = before_backdrop(image, parsing)
        return self.layout_encoder(torch.cat([parsing, target_parsing, pose, image], 1))

    def paint(
        self,
        layout: torch.Tensor,
        target_parsing: torch.Tensor,
        codes: torch.Tensor,
        present: torch.Tensor,
        image: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Paint each layout in the style of its codes, or in S styles at once.

        Args:
            layout: (B, 4C, H/4, W/4).
            target_parsing: (B, 8, H, W).
            codes: (B, 9, 4C), or (B, S, 9, 4C).
            present: (B, 8), or (B, S, 8); where it is 0, the ninth code stands in for the region's.
            image: the source, for the pose-transfer kind, which carries detail over from it.

        Returns:
            Pictures (B, 3, H, W), or (B, S, 3, H, W), in [-1, 1].

        Raises:
            ValueError: `image` is not given to a generator of the pose-transfer kind.
        """
        several = codes.dim() == 4
        if not several:
            codes, present = codes.unsqueeze(1), present.unsqueeze(1)
        x = self.region_norm(layout, target_parsing, codes, present)
        styles = x.shape[1]
        x = self.res(x.flatten(0, 1))
        if self.kind == POSE_TRANSFER:
            if image is None:
                raise ValueError("a pose-transfer generator paints with the source image: give paint(..., image=...)")
            x = self.res1(self.correspondence(x, image.repeat_interleave(styles, 0)))
        picture = self.decoder(x)
        return picture.unflatten(0, (-1, styles)) if several else picture

    def transfer(
        self, image: torch.Tensor, parsing: torch.Tensor, pose: torch.Tensor, target_pose: torch.Tensor
    ) -> torch.Tensor:
        """Paint the person of a picture in another pose.

        Args:
            image: (B, 3, H, W) in [-1, 1].
            parsing: (B, 8, H, W), of `image`.
            pose: (B, 18, H, W), of `image`.
            target_pose: (B, 18, H, W).

        Returns:
            Pictures (B, 3, H, W) in [-1, 1].

        Raises:
            ValueError: the generator is not of the pose-transfer kind.
        """
        if self.kind != POSE_TRANSFER:
            raise ValueError(f"transfer needs a pose-transfer generator; this one is {self.kind}")
        target_parsing = self.parsing_network(parsing, pose, target_pose)
        layout = self.layout(image, target_pose, parsing, target_parsing)
        return self.paint(layout, target_parsing, *self.style(image, parsing), image=image)


def before_backdrop(image: torch.Tensor, parsing: torch.Tensor) -> torch.Tensor:
    """Put people before a ramp from black on the left to white on the right.

    Args:
        image: (B, 3, H, W) in [-1, 1].
        parsing: (B, 8, H, W), one-hot; the background is replaced.
    """
    ramp = torch.linspace(-1, 1, image.shape[-1], dtype=image.dtype, device=image.device)
    return torch.where(parsing[:, :1] > 0, ramp, image)
