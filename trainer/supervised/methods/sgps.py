"""SGPS: garments whose pixels are other people's, so that clothes stop telling who it is.

Shu, Li, Wang, Ruan, Tian, "Semantic-guided Pixel Sampling for Cloth-Changing Person Re-identification", IEEE Signal
Processing Letters 28, 2021 (github.com/shuxjweb/pixel_sampling). Of each batch a copy is made, in which the pixels of
upper clothes are those of another picture's upper clothes, and likewise those of lower clothes. With v the vectors of
pictures and v' those of their copies, both together are taught as the twin is, and copies are drawn to their pictures:

    L = CE, labels smoothed by 0.1,  +  batch-hard triplets with margin 0.3  +  mean of sigmoid(|v - v'|^2).

Where garments differ in size, pixels go on where the picture before stopped, as in the public code. The parsing is
read from the files beside the photos.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from data.annotation import Region
from trainer.encoder import Encoder
from trainer.supervised.batches import Batch
from trainer.supervised.losses import hardest_triplets, identity
from trainer.supervised.methods.twin import Twin

_GARMENTS = ((Region.UPPER_CLOTHES,), (Region.SKIRT, Region.TROUSERS))


class Sgps(Twin):
    """The twin's losses on pictures and their copies in others' clothes, and a loss between the two."""

    annotated = True

    def forward(self, encoder: Encoder, batch: Batch) -> dict[str, Tensor]:
        """Give the three losses."""
        dressed = exchange_garments(batch.images, batch.parsing, batch.random)
        vectors = self.vectors(encoder, torch.cat([batch.images, dressed]))
        people = batch.people.repeat(2)
        own, other = vectors.chunk(2)
        return {
            "identity": identity(self.classifier(encoder.neck(vectors)), people),
            "triplet": hardest_triplets(vectors, people),
            "likeness": torch.sigmoid((own - other).square().sum(1)).mean(),
        }


def exchange_garments(images: Tensor, parsing: Tensor, random: np.random.Generator) -> Tensor:
    """Give pictures whose garments have the pixels of garments of the same kind in the batch.

    Args:
        images: (B, 3, H, W).
        parsing: uint8 (B, H, W), regions.
        random: draws the order in which pictures give their pixels, for each kind of garment.
    """
    dressed = images.permute(0, 2, 3, 1).clone(memory_format=torch.contiguous_format)
    given = dressed.clone()
    for regions in _GARMENTS:
        worn = torch.isin(parsing, torch.tensor(regions, dtype=parsing.dtype, device=parsing.device))
        order = torch.from_numpy(random.permutation(len(images))).to(images.device)
        dressed[worn] = given[order][worn[order]]
    return dressed.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
