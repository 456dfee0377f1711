"""Backbones by name: our small one, torchvision's ResNets, and all of timm; pictures in, one vector a picture out."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import get_model, get_model_weights, list_models, resnet

from data.runtime.errors import InputError
from trainer.batches import Input

RESNETS = [name for name in resnet.__all__ if name in list_models()]
"""Torchvision's models with a `layer4` and an `fc`."""

_TIMM_STRIDE = 16  # of the whole network when its last stage, of stride 2 in one of 32, has stride 1


def make_backbone(name: str, size: tuple[int, int], last_stride: int, pretrained: bool) -> tuple[nn.Module, Input]:
    """Make a backbone, and say what pictures it takes.

    Args:
        name: `small` (four blocks, 128 numbers, for pictures of 64x32), a ResNet of torchvision, or `timm:NAME`.
        size: height and width of the pictures, pixels.
        last_stride: stride of the last stage, 1 or 2.
        pretrained: with ImageNet weights (for timm: the model's own); else drawn from torch's random numbers.

    Raises:
        InputError: the name is unknown, the weights cannot be had, or the stride cannot be set.
    """
    if name == "small":
        if pretrained:
            raise InputError("backbone small has no ImageNet weights: give --backbone-weights none, or a file of yours")
        return _small(last_stride), Input(size)
    if name.startswith("timm:"):
        return _timm(name.removeprefix("timm:"), size, last_stride, pretrained)
    if name not in RESNETS:
        raise InputError(f"backbone {name!r} is not known: choose small, {', '.join(RESNETS)}, or timm:NAME")
    return _resnet(name, last_stride, pretrained), Input(size)


class Block(nn.Module):
    """Two 3x3 convolutions with a shortcut (He et al. 2016, basic block)."""

    def __init__(self, inner: int, outer: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inner, outer, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outer)
        self.conv2 = nn.Conv2d(outer, outer, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outer)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or inner != outer:
            self.shortcut = nn.Sequential(nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer))

    def forward(self, x: Tensor) -> Tensor:
        """Give (B, outer, H / stride, W / stride) for (B, inner, H, W)."""
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.shortcut(x))


def _small(last_stride: int) -> nn.Module:
    """A ResNet for pictures of 64x32: 3x3 stem of stride 2, blocks of width 16, 32, 64, 128."""
    stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
    blocks = [Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2), Block(64, 128, last_stride)]
    body = nn.Sequential(stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    for module in body.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return body


def _resnet(name: str, last_stride: int, pretrained: bool) -> nn.Module:
    # Not the default weights, where those are newer: the paper's results rest on the first ones.
    published = get_model_weights(name)["IMAGENET1K_V1"]
    try:
        body = get_model(name, weights=published if pretrained else None)
    except (URLError, OSError, RuntimeError) as error:
        if not pretrained:
            raise
        place = Path(torch.hub.get_dir()) / "checkpoints" / published.url.rpartition("/")[2]
        raise InputError(
            f"the ImageNet weights of {name} cannot be had ({error}): bring {published.url} to {place},"
            " or give --backbone-weights none or a file"
        ) from error
    _set_last_stride(body, last_stride)
    body.fc = nn.Identity()
    return body


def _set_last_stride(body: nn.Module, stride: int) -> None:
    """Give the last stage of a torchvision ResNet this stride, in the block's convolution and its shortcut."""
    first = body.get_submodule("layer4.0")
    for name, module in first.named_modules():
        if isinstance(module, nn.Conv2d) and module.stride == (2, 2) and name:
            module.stride = (stride, stride)


def _timm(name: str, size: tuple[int, int], last_stride: int, pretrained: bool) -> tuple[nn.Module, Input]:
    try:
        import timm
    except ImportError as error:
        raise InputError(f"backbone timm:{name} needs timm: pip install timm") from error
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), 3)
        hint = f"did you mean {', '.join(near)}?" if near else "see timm.list_models()"
        raise InputError(f"backbone timm:{name} is not known to timm: {hint}")
    stride = {"output_stride": _TIMM_STRIDE} if last_stride == 1 else {}
    # Transformers must know the pictures' size; convolutional models take any and have no such argument.
    for wanted in ({"img_size": size, **stride}, stride):
        try:
            body: Any = timm.create_model(name, pretrained=pretrained, num_classes=0, **wanted)
        except (TypeError, AssertionError, NotImplementedError):
            if not stride and wanted is stride:
                raise
        except (OSError, RuntimeError) as error:
            line = str(error).splitlines()[0]
            raise InputError(
                f"the pretrained weights of timm:{name} cannot be had ({line}): bring them as a file and give it as"
                " --backbone-weights, or give none"
            ) from error
        else:
            colours = body.pretrained_cfg
            return body, Input(size, tuple(colours["mean"]), tuple(colours["std"]))
    raise InputError(f"backbone timm:{name} has no stride of a last stage to set to 1: give --last-stride 2")
