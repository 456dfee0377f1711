"""CAL: features that tell people, and of one person do not tell which clothes.

Gu, Chang, Ma, Bai, Shan, Chen, "Clothes-Changing Person Re-identification with RGB Modality Only", CVPR 2022
(github.com/guxinqian/Simple-CCReID). Let f be a feature behind the neck, y its person, c its clothes, phi_i the weights
of clothes i, and s_i = 16 cos(f, phi_i); S+ are the K clothes of person y, S- those of all others. A clothes classifier
learns by cross entropy of s (eq. 1) without a gradient to f; f learns by cross entropy of 16 cos(f, person) and, from
25 / 60 of the training on, by (eq. 5 to 7, epsilon = 0.1)

    L_CA = - sum over i in S+ of q_i log( exp(s_i) / (exp(s_i) + sum over j in S- of exp(s_j)) )
    q_i  = 1 - epsilon + epsilon / K for i = c, epsilon / K for the person's other clothes.

The public code steps the clothes classifier before it computes L_CA; here both are of the same weights, in one step.
Nor is there random erasing. Vectors are maxima and means of each channel: `trainer.encoder.networks.pooling`.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from trainer.encoder import Encoder
from trainer.supervised.batches import Batch
from trainer.supervised.labels import LabelledPhotos
from trainer.supervised.losses import identity
from trainer.supervised.objective import CosineClassifier, Objective

SCALE = 16.0
EPSILON = 0.1
_BEGIN = 25 / 60
"""Share of the training after which clothes are told apart, and features turned against it."""


class Cal(Objective):
    """Identity, a clothes classifier, and the loss against it."""

    clothes = True

    def __init__(self, encoder: Encoder, photos: LabelledPhotos) -> None:
        super().__init__(encoder, photos)
        wardrobes = photos.wardrobes
        self.wardrobes: Tensor
        self.register_buffer("wardrobes", torch.from_numpy(wardrobes), persistent=False)
        self.names = CosineClassifier(encoder.dimensions, self.people, SCALE)
        self.outfits = CosineClassifier(encoder.dimensions, len(wardrobes), SCALE)

    def forward(self, encoder: Encoder, batch: Batch) -> dict[str, Tensor]:
        """Give the three losses, of which two begin later."""
        features = encoder.neck(self.vectors(encoder, batch.images))
        losses = {"identity": identity(self.names(features), batch.people, smoothing=0.0)}
        if batch.progress >= _BEGIN:
            own = self.wardrobes == batch.people[:, None]
            losses["clothes"] = identity(self.outfits(features.detach()), batch.clothes, smoothing=0.0)
            losses["adversarial"] = adversarial(self.outfits(features, fixed=True), batch.clothes, own)
        return losses


def adversarial(logits: Tensor, clothes: Tensor, own: Tensor, epsilon: float = EPSILON) -> Tensor:
    """Return L_CA (eq. 5 to 7 of Gu et al.), the mean over the batch.

    Args:
        logits: (B, C), of all clothes.
        clothes: int64 (B,), those worn.
        own: bool (B, C), which clothes are of the photo's person.
        epsilon: share of the weight that is spread over all the person's clothes.
    """
    others = logits.masked_fill(own, float("-inf")).logsumexp(1, keepdim=True)
    losses = torch.logaddexp(logits, others) - logits
    weights = (1 - epsilon) * F.one_hot(clothes, logits.shape[1]) + epsilon * own / own.sum(1, keepdim=True)
    return (weights * losses).sum(1).mean()
