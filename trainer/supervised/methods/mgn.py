"""MGN: a picture as a whole, in two and in three stripes, each with classifiers.

Wang, Yuan, Chen, Li, Zhou, "Learning Discriminative Features with Multiple Granularities for Person
Re-Identification", ACM Multimedia 2018. With f_1..f_3 the reduced vectors of the whole picture in each branch and
f_4..f_8 those of the stripes,

    L = mean over i = 1..8 of CE(W_i f_i, person)  +  mean over i = 1..3 of batch-hard triplets of f_i with margin 1.2.

The paper adds up where this takes means, and has the classifiers of the whole picture before the reduction: means and
places are those of github.com/seathiefwang/MGN-pytorch, as the authors published no code. The network is
`trainer.encoder.networks.branches`.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from trainer.encoder import Encoder
from trainer.encoder.networks.branches import REDUCED, Branches
from trainer.supervised.batches import Batch
from trainer.supervised.labels import LabelledPhotos
from trainer.supervised.losses import hardest_triplets, identity
from trainer.supervised.objective import Objective, classifier

MARGIN = 1.2
_WHOLE = 3
"""How many of the vectors are of the whole picture."""


class Mgn(Objective):
    """A classifier a vector, triplets on those of the whole picture."""

    def __init__(self, encoder: Encoder, photos: LabelledPhotos) -> None:
        super().__init__(encoder, photos)
        vectors = encoder.dimensions // REDUCED
        self.classifiers = nn.ModuleList(classifier(REDUCED, self.people, bias=True) for _ in range(vectors))

    def forward(self, encoder: Encoder, batch: Batch) -> dict[str, Tensor]:
        """Give the two losses."""
        with encoder.computing():
            parts = cast(Branches, encoder.body).parts(batch.images).float().unbind(1)
        named = [
            identity(classify(part), batch.people, smoothing=0.0)
            for classify, part in zip(self.classifiers, parts, strict=True)
        ]
        ranked = [hardest_triplets(part, batch.people, MARGIN) for part in parts[:_WHOLE]]
        return {"identity": torch.stack(named).mean(), "triplet": torch.stack(ranked).mean()}
