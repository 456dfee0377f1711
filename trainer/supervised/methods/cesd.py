"""CESD: features taken apart by the shape of the body, what is left for clothes, and both named.

Qian, Wang, Zhang, Zhu, Fu, Xiang, Jiang, Xue, "Long-Term Cloth-Changing Person Re-identification", ACCV 2020 (the paper
of LTCC; the authors' training script `ResNet50_Keypoint_AdaIN_8` is public in a copy, which was the reference). With
k1, k2 the vectors that its two modules keep, d1, d2 those that they drop, and CE' a cross entropy behind a layer (to
256 numbers of k1, 512 of k2), batch norm and ReLU,

    L = CE'(k2, person) + 0.5 CE'(k1, person) + 0.6 CE(d2, clothes) + 0.3 CE(d1, clothes) + L_joints.

The network is `trainer.encoder.networks.shape`. The script runs a pose detector on every photo, also on those searched
for and in. Here the detector is part of the network and learns beside it from the joints that lie beside the training
photos, by L_joints: the mean distance |x - x'| + |y - y'| of the joints that are there, in shares of width and height,
and the cross entropy of being there. So `make eval` and all else that is given pictures alone can serve it; joints it
is not as sure of as a large detector would be. Detected joints are what the shape code sees, in training too. The
script's SGD is Adam here, and its last stage, of stride 2, has the setting's; which 13 joints it takes and how many
epochs it trains, it does not say.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from trainer.encoder import Encoder
from trainer.encoder.networks.shape import JOINTS, ShapeDistillation
from trainer.supervised.batches import Batch
from trainer.supervised.labels import LabelledPhotos
from trainer.supervised.losses import identity
from trainer.supervised.objective import Objective, classifier

_BOTTLENECKS = (256, 512)
"""Numbers that a classifier of people sees, of the module after the third stage and of that after the last."""
_NAMING = (0.5, 1.0)
"""Weights of the losses on people, module by module."""
_DRESSING = (0.3, 0.6)
"""Weights of the losses on clothes."""


class Cesd(Objective):
    """People by what is kept, clothes by what is dropped, and where the joints are."""

    annotated = True
    clothes = True

    def __init__(self, encoder: Encoder, photos: LabelledPhotos) -> None:
        super().__init__(encoder, photos)
        body = cast(ShapeDistillation, encoder.body)
        widths = [module.scale.out_features for module in (body.middle, body.final)]
        outfits = len(photos.wardrobes)
        self.names = nn.ModuleList(
            nn.Sequential(
                nn.Linear(width, inner), nn.BatchNorm1d(inner), nn.ReLU(), classifier(inner, self.people, bias=True)
            )
            for width, inner in zip(widths, _BOTTLENECKS, strict=True)
        )
        self.outfits = nn.ModuleList(classifier(width, outfits, bias=True) for width in widths)

    def forward(self, encoder: Encoder, batch: Batch) -> dict[str, Tensor]:
        """Give the losses on people, on clothes and on joints."""
        with encoder.computing():
            parts = cast(ShapeDistillation, encoder.body).parts(batch.images)
        return {
            "identity": _named(self.names, parts.kept, batch.people, _NAMING),
            "clothes": _named(self.outfits, parts.dropped, batch.clothes, _DRESSING),
            "joints": joint_loss(parts.joints, batch.joints[:, JOINTS]),
        }


def joint_loss(found: Tensor, joints: Tensor) -> Tensor:
    """Return the mean distance of the joints that are there, plus the mean cross entropy of being there.

    Args:
        found: float32 (B, J, 3): x and y, and the probability of being there.
        joints: (B, J, 2), NaN where a joint is not there.
    """
    there = ~joints.isnan().any(2)
    distance = (found[:, :, :2] - joints.nan_to_num(0.0)).abs().sum(2)
    near = (distance * there).sum() / there.sum().clamp_min(1)
    return near + F.binary_cross_entropy(found[:, :, 2], there.float())


def _named(
    classifiers: nn.ModuleList, vectors: tuple[Tensor, ...], labels: Tensor, weights: tuple[float, ...]
) -> Tensor:
    losses = [
        weight * identity(classify(vector.float()), labels, smoothing=0.0)
        for classify, vector, weight in zip(classifiers, vectors, weights, strict=True)
    ]
    return sum(losses[1:], losses[0])
