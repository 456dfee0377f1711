"""FSAM: an appearance stream that learns together with a stream of body shape, and is used without it.

Hong, Wu, Chen, Zheng, "Fine-Grained Shape-Appearance Mutual Learning for Cloth-Changing Person Re-identification", CVPR
2021. Its abstract names four parts, and all are here:

- A mask of the body is estimated from the picture and refined by identity: M keeps to the parsing by L_mask, and what
  the shape stream is to learn of people reaches it too.
- The shape stream sees M alone. Its last stage is one of three branches, by the pose: towards the camera, away from it,
  sideways.
- The streams learn from each other at all levels. With A_l the mean over channels of the squared maps after stage l, of
  unit length, p what a stream says of people, and what stands before an arrow held fixed,

      L_low = sum over l, both ways, of |A_l(one) -> A_l(other)|^2,    L_high = KL(p_shape -> p) + KL(p -> p_shape).

- The appearance stream is used alone: no mask is estimated of what is searched for, or in.

    L = L_twin(appearance) + L_twin(shape) + L_mask + L_low + L_high.

There is no public code, and the paper's own text was not at hand: how each part is made, and that all weigh the same,
is decided here. Maps are compared as attention transfer does (Zagoruyko and Komodakis, ICLR 2017), predictions as in
deep mutual learning (Zhang et al., CVPR 2018). L_mask is the mean cross entropy of each pixel, for head, arms and
trunk, and legs, against the parsing that lies beside the photos; poses are told from the joints there.
"""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from data.annotation import Joint, Region
from trainer.encoder import Encoder
from trainer.encoder.networks import Staged
from trainer.encoder.networks.maps import Maps
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
POSES = 3
TOWARDS, AWAY, SIDEWAYS = range(POSES)
_TURNED = 0.2
"""Someone whose trunk is narrower than this share of its height stands sideways."""


class Fsam(Twin):
    """The twin's losses on both streams, that of the masks, and what each stream learns from the other."""

    annotated = True

    def __init__(self, encoder: Encoder, photos: LabelledPhotos) -> None:
        super().__init__(encoder, photos)
        stages = list(cast(Staged, encoder.body).stages)
        self.masks = Maps(cast(list[nn.Sequential], stages), len(_PARTS))
        self.shape = ShapeStream(stages)
        self.shape_neck = nn.BatchNorm1d(encoder.dimensions)
        self.shape_classifier = classifier(encoder.dimensions, self.people)

    def forward(self, encoder: Encoder, batch: Batch) -> dict[str, Tensor]:
        """Give the losses of both streams, of masks, and of mutual learning."""
        people, size = batch.people, batch.images.shape[2:]
        with encoder.computing():
            maps = cast(Staged, encoder.body).maps(batch.images)
            estimated = F.interpolate(self.masks(batch.images).float(), size, mode="bilinear")
            shape_maps = self.shape(estimated.sigmoid(), facing(batch.joints, size[1] / size[0]))
        seen, shaped = (each[-1].float().mean(dim=(2, 3)) for each in (maps, shape_maps))
        appearance = self.classifier(encoder.neck(seen))
        shape = self.shape_classifier(self.shape_neck(shaped))
        return {
            "identity": identity(appearance, people),
            "triplet": hardest_triplets(seen, people),
            "shape identity": identity(shape, people),
            "shape triplet": hardest_triplets(shaped, people),
            "mask": F.binary_cross_entropy_with_logits(estimated, body_masks(batch.parsing)),
            "low": torch.stack([unlikeness(*pair) for pair in zip(maps, shape_maps, strict=True)]).sum(),
            "high": divergence(shape.detach(), appearance) + divergence(appearance.detach(), shape),
        }


class ShapeStream(nn.Module):
    """A copy of the backbone's stages for masks, the last of which is there once for each pose."""

    def __init__(self, stages: list[nn.Module]) -> None:
        super().__init__()
        *common, last = copy.deepcopy(stages)
        self.common = nn.ModuleList(common)
        self.branches = nn.ModuleList(copy.deepcopy(last) for _ in range(POSES))

    def forward(self, masks: Tensor, poses: Tensor) -> list[Tensor]:
        """Give the maps after each stage of masks (B, 3, H, W), whose people stand in poses, int64 (B,)."""
        maps = [masks.contiguous(memory_format=torch.channels_last)]
        for stage in self.common:
            maps.append(stage(maps[-1]))
        chosen = [torch.nonzero(poses == pose).flatten() for pose in range(POSES)]
        found = [branch(maps[-1][some]) for branch, some in zip(self.branches, chosen, strict=True) if some.numel()]
        order = torch.cat(chosen).argsort()
        return [*maps[1:], torch.cat(found)[order]]


def facing(joints: Tensor, aspect: float) -> Tensor:
    """Tell which way people face, int64 (B,): TOWARDS the camera, AWAY or SIDEWAYS.

    Towards it, one's left is at the right of the picture. Where shoulders or hips are missing, it is sideways.

    Args:
        joints: (B, 18, 2), shares of width and height, NaN where one is missing.
        aspect: width of the pictures divided by their height.
    """
    left, right = (joints[:, [Joint[f"{side}_SHOULDER"], Joint[f"{side}_HIP"]]] for side in ("LEFT", "RIGHT"))
    breadth = (left - right)[:, :, 0].mean(1) * aspect
    trunk = ((left + right) / 2).diff(dim=1)[:, 0, 1].abs()
    poses = torch.full_like(breadth, SIDEWAYS, dtype=torch.int64)
    return poses.masked_fill(breadth > _TURNED * trunk, TOWARDS).masked_fill(-breadth > _TURNED * trunk, AWAY)


def body_masks(parsing: Tensor) -> Tensor:
    """Give float32 (B, 3, H, W), 1 where head, arms and trunk, or legs are, of parsing, uint8 (B, H, W)."""
    regions = [torch.tensor(part, dtype=parsing.dtype, device=parsing.device) for part in _PARTS]
    return torch.stack([torch.isin(parsing, part) for part in regions], dim=1).float()


def unlikeness(one: Tensor, other: Tensor) -> Tensor:
    """Return how unlike the attention of two streams' maps, (B, C, H, W), is; each is drawn to the other.

    The mean over the batch of |A(one) - A(other)|^2, taken twice: with either held fixed.
    """
    ours, theirs = (F.normalize(maps.float().square().mean(1).flatten(1)) for maps in (one, other))
    pairs = ((ours, theirs.detach()), (theirs, ours.detach()))
    return torch.stack([(learning - fixed).square().sum(1).mean() for learning, fixed in pairs]).sum()


def divergence(fixed: Tensor, learning: Tensor) -> Tensor:
    """Return KL(p || q), the mean over the batch, of p and q by the softmax of two logits (B, P)."""
    return F.kl_div(learning.log_softmax(1), fixed.log_softmax(1), reduction="batchmean", log_target=True)
