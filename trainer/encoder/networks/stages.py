"""Stages of a backbone: what comes before its pooling, cut where the pictures get smaller."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

from trainer.encoder.backbones import Block

_STRIDED: dict[type[nn.Module], tuple[str, str]] = {
    Block: ("conv1", "shortcut.0"),
    BasicBlock: ("conv1", "downsample.0"),
    Bottleneck: ("conv2", "downsample.0"),
}
"""Where the first block of a stage has its stride, and where its shortcut has it."""


def split(body: nn.Module) -> list[nn.Sequential] | None:
    """Give the four stages of `small` or of a torchvision ResNet, its stem in the first; None of another network.

    The modules are the backbone's own.
    """
    if isinstance(body, ResNet):
        start = nn.Sequential(body.conv1, body.bn1, body.relu, body.maxpool)
        return [nn.Sequential(start, *body.layer1), body.layer2, body.layer3, body.layer4]
    if isinstance(body, nn.Sequential) and len(body) > 1 and isinstance(body[1], Block):
        stem, first, *others = (module for module in body[:-2])
        return [nn.Sequential(stem, first), *(nn.Sequential(block) for block in others)]
    return None


def channels(stage: nn.Sequential) -> int:
    """Count the channels that come out of a stage."""
    convolutions = [module for module in stage[-1].modules() if isinstance(module, nn.Conv2d)]
    return max(convolution.out_channels for convolution in convolutions)


def with_stride(stage: nn.Sequential, stride: int) -> nn.Sequential:
    """Copy a stage, with this stride in its first block."""
    copied = copy.deepcopy(stage)
    for name in _STRIDED[type(copied[0])]:
        convolution = copied[0].get_submodule(name)
        assert isinstance(convolution, nn.Conv2d)
        convolution.stride = (stride, stride)
    return copied


@torch.no_grad()
def sizes(stages: list[nn.Sequential], size: tuple[int, int]) -> list[tuple[int, int]]:
    """Find the height and width of the maps that come out of each stage, for pictures of this size."""
    maps, found = torch.zeros(1, 3, *size), []
    for stage in stages:
        maps = stage.eval()(maps)
        found.append((maps.shape[2], maps.shape[3]))
    return found
