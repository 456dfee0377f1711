"""PCB: six stripes of a picture, one classifier each.

Sun, Zheng, Yang, Tian, Wang, "Beyond Part Models: Person Retrieval with Refined Part Pooling", ECCV 2018
(github.com/syfafterzy/PCB_RPP_for_reID). With h_i the reduced vector of stripe i,

    L = sum over i = 1..6 of CE(W_i h_i, person).

This is PCB without the refined pooling, RPP, that the paper adds in a second training. The paper's SGD is Adam here.
The network is `trainer.encoder.networks.stripes`.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from trainer.encoder import Encoder
from trainer.encoder.networks.stripes import REDUCED, STRIPES, Stripes
from trainer.supervised.batches import Batch
from trainer.supervised.labels import LabelledPhotos
from trainer.supervised.losses import identity
from trainer.supervised.objective import Objective, classifier


class Pcb(Objective):
    """A classifier a stripe."""

    def __init__(self, encoder: Encoder, photos: LabelledPhotos) -> None:
        super().__init__(encoder, photos)
        self.classifiers = nn.ModuleList(classifier(REDUCED, self.people, bias=True) for _ in range(STRIPES))

    def forward(self, encoder: Encoder, batch: Batch) -> dict[str, Tensor]:
        """Give the sum of the stripes' losses."""
        with encoder.computing():
            reduced = cast(Stripes, encoder.body).reduced(batch.images).float()
        losses = [
            identity(classify(stripe), batch.people, smoothing=0.0)
            for classify, stripe in zip(self.classifiers, reduced.unbind(2), strict=True)
        ]
        return {"identity": sum(losses[1:], losses[0])}
