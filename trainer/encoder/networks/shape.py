"""CESD's network (Qian et al. 2020): where joints are tells what to keep of a picture's features, and what is clothes.

A relation network makes a code of the shape of 13 joints. After each of the last two stages a module takes feature
maps apart by that code: what it keeps goes on, what it drops is for a classifier of clothes. Layers are those of the
authors' training script, `ResNet50_Keypoint_AdaIN_8`, of which a copy is public; where they write numbers for
ResNet-50, there are shares of the backbone's width here.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from data.annotation import Joint
from trainer.encoder.networks.maps import Maps
from trainer.encoder.networks.stages import channels

_FACE = (Joint.RIGHT_EYE, Joint.LEFT_EYE, Joint.RIGHT_EAR, Joint.LEFT_EAR)
JOINTS = tuple(joint for joint in Joint if joint not in (Joint.NECK, *_FACE))
"""The 13 joints: the nose, shoulders, elbows, wrists, hips, knees and ankles; the script says how many, not which."""
REDUCTION = 4
"""By how much the attention over channels is narrower inside."""
_EPSILON = 1e-5


class Parts(NamedTuple):
    """What the network makes of B pictures.

    Attributes:
        joints: (B, 13, 3): x and y as shares of width and height, and how sure it is that the joint is seen, 0 to 1.
        kept: means over the maps that are kept, (B, C3) and (B, C4).
        dropped: likewise of those that are dropped.
    """

    joints: Tensor
    kept: tuple[Tensor, Tensor]
    dropped: tuple[Tensor, Tensor]


class ShapeDistillation(nn.Module):
    """Stages, joints, and the modules that take features apart; vectors (B, C3 + C4), each part of unit length.

    The authors run a pose detector beforehand. Here a small one is part of the network, so that pictures are all it
    needs, and no gradient of what is told from the joints reaches it.
    """

    def __init__(self, stages: list[nn.Sequential]) -> None:
        super().__init__()
        *lower, last = stages
        self.detector = Detector(stages)
        self.lower, self.last = nn.Sequential(*lower), last
        self.shape = Shape(channels(last))
        self.middle, self.final = (Elimination(channels(last), channels(stage)) for stage in (lower[-1], last))

    def forward(self, images: Tensor) -> Tensor:
        """Give vectors (B, C3 + C4)."""
        return torch.cat([F.normalize(vectors.float()) for vectors in self.parts(images).kept], dim=1)

    def parts(self, images: Tensor) -> Parts:
        """Give all that training looks at."""
        joints = self.detector(images)
        code = self.shape(joints.detach())
        maps, coarse = self.middle(self.lower(images), code)
        kept, dropped = self.final(self.last(maps), code)
        return Parts(joints, (_mean(maps), _mean(kept)), (_mean(coarse), _mean(dropped)))


class Detector(nn.Module):
    """Finds the 13 joints, each at the centre of mass of a map's softmax, as sure as the sigmoid of its greatest."""

    def __init__(self, stages: list[nn.Sequential]) -> None:
        super().__init__()
        self.maps = Maps(stages, len(JOINTS))

    def forward(self, images: Tensor) -> Tensor:
        """Give float32 (B, 13, 3), as in `Parts.joints`."""
        maps = self.maps(images).float()
        down, across = ((torch.arange(side, device=maps.device) + 0.5) / side for side in maps.shape[2:])
        heat = maps.flatten(2).softmax(2).view_as(maps)
        places = [(heat.sum(2) * across).sum(2), (heat.sum(3) * down).sum(2)]
        return torch.stack([*places, maps.amax(dim=(2, 3)).sigmoid()], dim=2)


class Shape(nn.Module):
    """The shape code of joints: of every two of them a relation, of all relations the greatest number each.

    With e_j the joint's features (of its place, and of which joint it is), h and g layers with ReLU, the code is
    max over i, j of g(h([e_i, e_j])); all are evened out over joints, or over pairs, before they go on.

    Args:
        numbers: of the code, 2048 beside ResNet-50.
    """

    def __init__(self, numbers: int) -> None:
        super().__init__()
        widths = [max(1, numbers // share) for share in (16, 8, 4, 2)]
        self.place, self.kind = nn.Linear(3, widths[0]), nn.Linear(len(JOINTS), widths[0])
        self.refine = nn.ModuleList(nn.Linear(inner, outer) for inner, outer in pairwise(widths))
        self.relate = nn.Linear(2 * widths[3], widths[2])
        self.encode = nn.Linear(widths[2], numbers)

    def forward(self, joints: Tensor) -> Tensor:
        """Give codes (B, numbers) of joints (B, 13, 3)."""
        kinds = self.kind(torch.eye(len(JOINTS), device=joints.device)).relu()
        features = _evened(self.place(joints).relu() + kinds, 1)
        for layer in self.refine:
            features = _evened(layer(features).relu(), 1)
        # A layer on two joints is the sum of one on each: 13 products in the place of 169.
        first, second = self.relate.weight.chunk(2, dim=1)
        pairs = F.linear(features, first, self.relate.bias)[:, :, None] + F.linear(features, second)[:, None]
        pairs = _evened(pairs.relu().flatten(1, 2), 1)
        return _evened(self.encode(pairs).relu(), 1).amax(1)


class Elimination(nn.Module):
    """Takes maps x apart by a shape code s, guided by what of them the code does not explain.

    With n the maps evened out over the picture, and a an attention over channels (squeeze-and-excitation of x - p):

        p = (1 + scale(s)) n + shift(s),    kept = f(p + a (x - p)),    dropped = g(n + (1 - a) (x - p)).

    Args:
        code: numbers of s.
        width: channels of x.
    """

    def __init__(self, code: int, width: int) -> None:
        super().__init__()
        self.scale, self.shift = nn.Linear(code, width), nn.Linear(code, width)
        self.attend = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(width, width // REDUCTION, 1),
            nn.ReLU(),
            nn.Conv2d(width // REDUCTION, width, 1),
            nn.Sigmoid(),
        )
        self.keep, self.drop = (
            nn.Sequential(nn.Conv2d(width, width, 1), nn.BatchNorm2d(width), nn.ReLU()) for _ in range(2)
        )

    def forward(self, x: Tensor, code: Tensor) -> tuple[Tensor, Tensor]:
        """Give what is kept and what is dropped, both as large as x, (B, width, H, W)."""
        even = _evened(x, (2, 3))
        shaped = (1 + self.scale(code))[:, :, None, None] * even + self.shift(code)[:, :, None, None]
        rest = x - shaped
        share = self.attend(rest)
        return self.keep(shaped + share * rest), self.drop(even + (1 - share) * rest)


def _evened(x: Tensor, dims: int | tuple[int, ...]) -> Tensor:
    """Give x with mean 0 and variance 1 along these dimensions."""
    variance, mean = torch.var_mean(x, dims, correction=0, keepdim=True)
    return (x - mean) * (variance + _EPSILON).rsqrt()


def _mean(maps: Tensor) -> Tensor:
    return maps.mean(dim=(2, 3))
