"""RGA-SC's network (Zhang et al. 2020): after each stage, attention by relations among places and among channels."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trainer.encoder.networks.stages import channels, sizes

RATIO = 8
"""By how much embeddings are smaller than what they are of: s1 and s2 of the paper."""


class Attention(nn.Module):
    """Stages with an attention over space, then one over channels, after each; mean over the picture, (B, C).

    The order and the layers are those of github.com/microsoft/Relation-Aware-Global-Attention-Networks.

    Args:
        stages: of the backbone.
        size: height and width of the pictures, pixels: relations among places have a number for each place.
    """

    def __init__(self, stages: list[nn.Sequential], size: tuple[int, int]) -> None:
        super().__init__()
        modules: list[nn.Module] = []
        for stage, (height, width) in zip(stages, sizes(stages, size), strict=True):
            inner = channels(stage)
            modules += [stage, Relations(inner, height * width), _OverChannels(inner, height * width)]
        self.stages = nn.Sequential(*modules)

    def forward(self, images: Tensor) -> Tensor:
        """Give vectors (B, C)."""
        return self.stages(images).mean(dim=(2, 3))


class Relations(nn.Module):
    """Weights of N feature nodes by their relations to all others (eq. 2 to 4 of the paper), and the weighted nodes.

    A node's relations are its affinities r_ij = theta(x_i) . phi(x_j) to and from all nodes; beside them stands the
    mean of its embedding. Two 1x1 convolutions make of both a number, its sigmoid the weight.

    Args:
        numbers: of a node: of nodes in space, the channels.
        nodes: how many there are: in space, height x width.
    """

    def __init__(self, numbers: int, nodes: int) -> None:
        super().__init__()
        # Theta, phi and the embedding, side by side: three layers of one input in one product.
        self.embed = _embedding(numbers, 3 * _fewer(numbers))
        self.relate = _embedding(2 * nodes, _fewer(nodes))
        joint = 1 + _fewer(nodes)
        hidden = _fewer(joint)
        self.weigh = nn.Sequential(
            *_embedding(joint, hidden), nn.Conv2d(hidden, 1, 1, bias=False), nn.BatchNorm2d(1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Give (B, numbers, H, W) weighted place by place."""
        return self.weights(x) * x

    def weights(self, x: Tensor) -> Tensor:
        """Give the weights (B, 1, H, W) of the nodes of (B, numbers, H, W)."""
        theta, phi, embedded = self.embed(x).flatten(2).mT.chunk(3, dim=2)
        # A linear map of a node's affinities, theta_i . phi_j over all j, is one product of theta_i with mapped phi:
        # the (nodes, nodes) affinities themselves are never written out.
        to_all, from_all = self.relate[0].get_parameter("weight").flatten(1).chunk(2, dim=1)
        mapped = theta @ (to_all @ phi).mT + phi @ (from_all @ theta).mT
        related = self.relate[1:](mapped.mT.unsqueeze(3))
        joint = torch.cat([embedded.mean(dim=2, keepdim=True), related.squeeze(3).mT], dim=2)
        return self.weigh(joint.mT.unsqueeze(3)).squeeze(3).unflatten(2, x.shape[2:])


class _OverChannels(nn.Module):
    """The same where channels are the nodes, and places their numbers."""

    def __init__(self, inner: int, places: int) -> None:
        super().__init__()
        self.relations = Relations(places, inner)

    def forward(self, x: Tensor) -> Tensor:
        nodes = x.flatten(2).transpose(1, 2).unsqueeze(3)
        return self.relations.weights(nodes).transpose(1, 2) * x


def _fewer(number: int) -> int:
    """Give an eighth; of small pictures a stage may have fewer nodes than eight."""
    return max(1, number // RATIO)


def _embedding(inner: int, outer: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inner, outer, 1, bias=False), nn.BatchNorm2d(outer), nn.ReLU())
