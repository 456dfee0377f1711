"""Networks of other people's methods: pictures in, one vector a picture out, like a backbone; no labels."""

from __future__ import annotations

from torch import nn

from data.runtime.errors import InputError
from trainer.baselines import BaselineConfig
from trainer.batches import Input
from trainer.encoder.networks.attention import Attention
from trainer.encoder.networks.branches import Branches
from trainer.encoder.networks.lomo import Lomo
from trainer.encoder.networks.pooling import MaxAndAverage
from trainer.encoder.networks.shape import ShapeDistillation
from trainer.encoder.networks.staged import Staged
from trainer.encoder.networks.stages import split
from trainer.encoder.networks.stripes import Stripes

__all__ = [
    "Attention",
    "Branches",
    "Lomo",
    "MaxAndAverage",
    "ShapeDistillation",
    "Staged",
    "Stripes",
    "has_neck",
    "lomo_input",
    "make_network",
]

_WITHOUT_NECK = ("pcb", "mgn", "cesd", "lomo-kissme", "lomo-xqda")
"""Methods whose vectors are compared as they are: ours would normalise what the paper does not."""


def has_neck(method: str) -> bool:
    """Say whether a batch norm stands between the network's vectors and the features."""
    return method not in _WITHOUT_NECK


def make_network(config: BaselineConfig, body: nn.Module) -> nn.Module:
    """Make a method's network of a backbone, whose stages it takes over with their weights.

    Raises:
        InputError: the method needs a backbone whose stages are known.
    """
    if config.method in ("twin", "sgps"):
        return body
    stages = split(body)
    if stages is None:
        raise InputError(
            f"method {config.method} works on the stages of small or of a ResNet, not of {config.backbone}"
        )
    match config.method:
        case "cal":
            return MaxAndAverage(stages)
        case "pcb":
            return Stripes(stages)
        case "mgn":
            return Branches(stages)
        case "cesd":
            return ShapeDistillation(stages)
        case "fsam":
            return Staged(stages)
    return Attention(stages, (config.height, config.width))


def lomo_input(config: BaselineConfig) -> Input:
    """Say what pictures LOMO takes: colours in [0, 1] as they are."""
    return Input((config.height, config.width), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
