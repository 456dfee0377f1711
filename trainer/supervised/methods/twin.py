"""The supervised twin of our encoder: the same backbone and neck, taught by true names.

Luo, Gu, Liao, Lai, Jiang, "Bag of Tricks and a Strong Baseline for Deep Person Re-identification", CVPR Workshops 2019
(github.com/michuanhaohao/reid-strong-baseline). With v the backbone's vector and BN the neck,

    L = CE(W BN(v), person), labels smoothed by 0.1,  +  batch-hard triplets of v with margin 0.3.

Of that paper's tricks there are the neck, the last stride, label smoothing and the warm-up; crop and flip are those of
our label-free training, and there is no random erasing and no centre loss, so that labels make the difference.
"""

from __future__ import annotations

from torch import Tensor

from trainer.encoder import Encoder
from trainer.supervised.batches import Batch
from trainer.supervised.labels import LabelledPhotos
from trainer.supervised.losses import hardest_triplets, identity
from trainer.supervised.objective import Objective, classifier


class Twin(Objective):
    """Identity on the neck's features, triplets on the vectors before it."""

    def __init__(self, encoder: Encoder, photos: LabelledPhotos) -> None:
        super().__init__(encoder, photos)
        self.classifier = classifier(encoder.dimensions, self.people)

    def forward(self, encoder: Encoder, batch: Batch) -> dict[str, Tensor]:
        """Give the two losses."""
        vectors = self.vectors(encoder, batch.images)
        return {
            "identity": identity(self.classifier(encoder.neck(vectors)), batch.people),
            "triplet": hardest_triplets(vectors, batch.people),
        }
