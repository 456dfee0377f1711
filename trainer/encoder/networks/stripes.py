"""PCB's network (Sun et al. 2018): a picture's feature maps cut into six stripes, each with a vector of its own."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from trainer.encoder.networks.stages import channels

STRIPES = 6
REDUCED = 256
"""Numbers of a stripe that its classifier sees."""


class Stripes(nn.Module):
    """Stages, then means over six stripes: g, (B, 6 C) of C numbers a stripe.

    What the classifiers of training see is h = relu(BN(conv g)), 256 numbers a stripe; the 1x1 convolution is common to
    the stripes, as in the authors' code (github.com/syfafterzy/PCB_RPP_for_reID). Features are g, each stripe of unit
    length, which the paper finds a little better than h.
    """

    def __init__(self, stages: list[nn.Sequential]) -> None:
        super().__init__()
        self.stages = nn.Sequential(*stages)
        self.reduce = nn.Sequential(
            nn.Conv2d(channels(stages[-1]), REDUCED, 1, bias=False), nn.BatchNorm2d(REDUCED), nn.ReLU()
        )

    def forward(self, images: Tensor) -> Tensor:
        """Give vectors (B, 6 C), of which each stripe's part has unit length."""
        return F.normalize(self.pooled(images).float(), dim=1).flatten(1)

    def reduced(self, images: Tensor) -> Tensor:
        """Give h, (B, 256, 6), for the classifiers."""
        return self.reduce(self.pooled(images)).squeeze(3)

    def pooled(self, images: Tensor) -> Tensor:
        """Give g, (B, C, 6, 1): the mean of each channel over each stripe."""
        return F.adaptive_avg_pool2d(self.stages(images), (STRIPES, 1))
