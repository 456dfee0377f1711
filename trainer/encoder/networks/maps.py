"""Maps over a picture, such as one of each joint or part of the body, by copies of a backbone's first stages."""

from __future__ import annotations

import copy

from torch import Tensor, nn

from trainer.encoder.networks.stages import channels

_STAGES = 2


class Maps(nn.Module):
    """Two stages of a backbone with weights of their own, then a 1x1 convolution.

    Args:
        stages: of the backbone, of which the first two are copied.
        number: of maps.
    """

    def __init__(self, stages: list[nn.Sequential], number: int) -> None:
        super().__init__()
        taken = [copy.deepcopy(stage) for stage in stages[:_STAGES]]
        self.stages = nn.Sequential(*taken)
        self.read = nn.Conv2d(channels(taken[-1]), number, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Give maps (B, number, h, w) of pictures (B, 3, H, W), without bounds."""
        maps: Tensor = self.read(self.stages(images))
        return maps
