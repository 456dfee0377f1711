"""An encoder as a step of training calls it, by one process or by several together."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from trainer import distributed
from trainer.encoder import Encoded, Encoder


class _Learner(nn.Module):
    """For the lengths beside the features."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, images: Tensor) -> Encoded:
        return self.encoder.encoded(images)


def make_learner(encoder: Encoder) -> nn.Module:
    """Give a module that returns `Encoded` of its input; the gradients of several processes become their mean."""
    learner = _Learner(encoder)
    if distributed.world_size() == 1:
        return learner
    return DistributedDataParallel(learner, [encoder.device] if encoder.device.type == "cuda" else None)
