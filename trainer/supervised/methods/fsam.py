"""FSAM: an appearance stream that learns together with a shape stream, and is used without it.

Hong, Wu, Chen, Zheng, "Fine-Grained Shape-Appearance Mutual Learning for Cloth-Changing Person Re-identification", CVPR
2021. Pictures go through the encoder, body masks through a second one of the same kind. Each stream is taught as the
twin is, and each by the other's probabilities p of people:

    L = L_twin(appearance) + L_twin(shape) + KL(p_shape || p_appearance) + KL(p_appearance || p_shape),

where the first of each pair is held fixed. Masks are read from the parsing beside the photos.

There is no public code. Of the paper there is its frame, two streams that teach each other by what they say of people;
its refinement of masks by identity, its branches for different poses and the mutual learning between layers are not
here.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from data.annotation import Region
from trainer.encoder import Encoder
from trainer.supervised.batches import Batch
from trainer.supervised.labels import LabelledPhotos
from trainer.supervised.losses import hardest_triplets, identity
from trainer.supervised.methods.twin import Twin
from trainer.supervised.objective import classifier

_PARTS = (
    (Region.HAT, Region.HAIR, Region.FACE),
    (Region.UPPER_CLOTHES, Region.SKIN),
    (Region.SKIRT, Region.TROUSERS),
)
"""What the three channels of a mask show: head, arms and trunk, legs, without a colour."""


class Fsam(Twin):
    """The twin's losses on both streams, and what each learns from the other."""

    parsing = True

    def __init__(self, encoder: Encoder, photos: LabelledPhotos) -> None:
        super().__init__(encoder, photos)
        self.shape = copy.deepcopy(encoder.body)
        self.shape_neck = nn.BatchNorm1d(encoder.dimensions)
        self.shape_classifier = classifier(encoder.dimensions, self.people)

    def forward(self, encoder: Encoder, batch: Batch) -> dict[str, Tensor]:
        """Give the losses of both streams."""
        people = batch.people
        seen = self.vectors(encoder, batch.images)
        with encoder.computing():
            shaped = self.shape(body_masks(batch.parsing))
        shaped = shaped.float()
        appearance = self.classifier(encoder.neck(seen))
        shape = self.shape_classifier(self.shape_neck(shaped))
        return {
            "identity": identity(appearance, people),
            "triplet": hardest_triplets(seen, people),
            "shape identity": identity(shape, people),
            "shape triplet": hardest_triplets(shaped, people),
            "mutual": divergence(shape.detach(), appearance) + divergence(appearance.detach(), shape),
        }


def body_masks(parsing: Tensor) -> Tensor:
    """Give float32 (B, 3, H, W), 1 where head, arms and trunk, or legs are, of parsing, uint8 (B, H, W)."""
    regions = [torch.tensor(part, dtype=parsing.dtype, device=parsing.device) for part in _PARTS]
    masks = torch.stack([torch.isin(parsing, part) for part in regions], dim=1).float()
    return masks.contiguous(memory_format=torch.channels_last)


def divergence(fixed: Tensor, learning: Tensor) -> Tensor:
    """Return KL(p || q), the mean over the batch, of p and q by the softmax of two logits (B, P)."""
    return F.kl_div(learning.log_softmax(1), fixed.log_softmax(1), reduction="batchmean", log_target=True)
