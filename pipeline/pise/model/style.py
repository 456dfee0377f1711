"""Style: the look of a picture's regions, and a person's look with the clothes of another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch.nn import functional

from data.annotation import CLOTHING_REGIONS


class Style(NamedTuple):
    """The codes of a picture's regions, or of those of many pictures: every leading dimension is one of the batch.

    `codes` (…, 9, 4C) has the 8 regions' codes and, ninth, that of the whole picture; `present` (…, 8) is 1 where the
    picture has the region and 0 where not.
    """

    codes: torch.Tensor
    present: torch.Tensor

    def dressed_in(self, template: Style, regions: Sequence[int] = CLOTHING_REGIONS, added: bool = False) -> Style:
        """Take the template's code for each exchanged region that the template has; keep all other codes.

        Where the template lacks a region (bare legs, or a dress and no trousers) the picture's own code stays.

        Args:
            template: the style that gives the clothes; its leading dimensions are broadcast against this one's.
            regions: labels of the regions to exchange.
            added: whether an exchanged region that only the template has counts as present.

        Returns:
            The style of the picture in the template's clothes, of the leading dimensions that both have together.
        """
        exchanged = torch.zeros(template.codes.shape[-2], dtype=torch.bool, device=template.codes.device)
        exchanged[list(regions)] = True
        taken = functional.pad(template.present != 0, (0, 1)) & exchanged
        codes = torch.where(taken.unsqueeze(-1), template.codes, self.codes)
        present = self.present.expand(*codes.shape[:-2], -1)
        return Style(codes, torch.maximum(present, taken[..., :-1].to(present.dtype)) if added else present)
