"""The dresser: one photo painted again in the clothes of S templates."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch

from data.annotation import CLOTHING_REGIONS
from data.runtime.errors import InputError
from pipeline.pise import TEXTURE_TRANSFER, Generator, Style


class Dresser:
    """Paints photos in the clothes of templates, the rest of the person kept, and the shape of the clothes if wished.

    The codes of the exchanged regions are the template's, all others the photo's. Where a template lacks a region that
    the photo has (bare legs, or a dress and no trousers), the photo's own code stays: that garment is not changed. A
    region that the photo lacks is not painted, whatever the template has.

    Args:
        generator: of the texture-transfer kind.
        templates: their style, codes (S, 9, 4C) and present (S, 8), the same for every photo.
        regions: labels of the regions to exchange.
        dtype: what to paint in. Style and layout are found in float32 all the same: they are needed only once a photo,
            and the layout in bfloat16 costs 12 dB against 3 dB for all the painting.

    Raises:
        InputError: the generator is of the pose-transfer kind.
    """

    def __init__(
        self,
        generator: Generator,
        templates: tuple[torch.Tensor, torch.Tensor],
        regions: Sequence[int] = CLOTHING_REGIONS,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        if generator.kind != TEXTURE_TRANSFER:
            raise InputError(
                f"the weights are of the {generator.kind} kind: clothes need a {TEXTURE_TRANSFER} generator"
            )
        self.generator = generator
        self.painter = generator if dtype == torch.float32 else copy.deepcopy(generator).to(dtype)
        self.templates = Style(*templates)
        self.regions = list(regions)
        self.dtype = dtype

    @torch.inference_mode()
    def dress(
        self,
        image: torch.Tensor,
        pose: torch.Tensor,
        parsing: torch.Tensor,
        templates: tuple[torch.Tensor, torch.Tensor] | None = None,
        target_parsing: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Paint each photo in S outfits.

        Style and layout are found once a photo; its S pictures are painted in one batch. With `target_parsing` there is
        a layout for each picture, and a region that only the template has is painted in the template's code.

        Args:
            image: (B, 3, H, W) in [-1, 1], H and W multiples of 16.
            pose: (B, 18, H, W), Gaussian joint maps.
            parsing: (B, 8, H, W), one-hot.
            templates: other templates for each photo, codes (B, S, 9, 4C) and present (B, S, 8), in place of those
                given at the start.
            target_parsing: (B, S, 8, H, W), one-hot, what each picture is painted into in place of the photo's own
                parsing (`pipeline.outfits.shape` makes it).

        Returns:
            float32 (B, S, 3, H, W) in [-1, 1].

        Raises:
            ValueError: `target_parsing` is not of S versions.
        """
        photos = Style(*(part.unsqueeze(1) for part in self.generator.style(image, parsing)))
        reshaped = target_parsing is not None
        codes, present = photos.dressed_in(
            Style(*templates) if templates else self.templates, self.regions, added=reshaped
        )
        if target_parsing is None:
            layout = self.generator.layout(image, pose, parsing, parsing)
            return self.painter.paint(layout.to(self.dtype), parsing, codes.to(self.dtype), present).float()
        versions = codes.shape[1]
        if target_parsing.shape[1] != versions:
            raise ValueError(f"target parsings of {target_parsing.shape[1]} versions for {versions} templates")
        target = target_parsing.flatten(0, 1)
        image, pose, parsing = (part.repeat_interleave(versions, 0) for part in (image, pose, parsing))
        layout = self.generator.layout(image, pose, parsing, target)
        outfits = codes.flatten(0, 1).to(self.dtype), present.flatten(0, 1)
        return self.painter.paint(layout.to(self.dtype), target, *outfits).float().unflatten(0, (-1, versions))
