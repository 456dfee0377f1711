"""Encoder: a backbone, global average pooling and a batch-norm neck; pictures in, features of unit length out."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
import torchvision
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from data.runtime.errors import InputError

RESNETS: dict[str, tuple[Callable[..., nn.Module], Any]] = {
    "resnet18": (torchvision.models.resnet18, torchvision.models.ResNet18_Weights.IMAGENET1K_V1),
    "resnet34": (torchvision.models.resnet34, torchvision.models.ResNet34_Weights.IMAGENET1K_V1),
    "resnet50": (torchvision.models.resnet50, torchvision.models.ResNet50_Weights.IMAGENET1K_V1),
    "resnet101": (torchvision.models.resnet101, torchvision.models.ResNet101_Weights.IMAGENET1K_V1),
    "resnet152": (torchvision.models.resnet152, torchvision.models.ResNet152_Weights.IMAGENET1K_V1),
    "wide_resnet50_2": (torchvision.models.wide_resnet50_2, torchvision.models.Wide_ResNet50_2_Weights.IMAGENET1K_V1),
    "resnext50_32x4d": (torchvision.models.resnext50_32x4d, torchvision.models.ResNeXt50_32X4D_Weights.IMAGENET1K_V1),
}
CLASSIFIERS = ("fc.", "head.", "classifier.")


class Encoder(nn.Module):
    """Pictures (B, 3, H, W), normalised → features (B, d), float32, of unit length.

    body gives one vector a picture; the neck is batch norm without a trained shift, so that features stay centred.
    feature_norm, a scalar, is the mean length of the last batch's vectors before the neck: a sign of health.
    """

    def __init__(self, body: nn.Module, width: int) -> None:
        super().__init__()
        self.body = body
        self.width = width
        self.neck = nn.BatchNorm1d(width)
        self.neck.bias.requires_grad_(False)
        self.feature_norm = torch.zeros(())

    def forward(self, images: Tensor) -> Tensor:
        """Features (B, d) of unit length; neck and norm are computed in float32 whatever the body's precision."""
        pooled = self.body(images)
        with torch.autocast(images.device.type, enabled=False):
            pooled = pooled.float()
            self.feature_norm = pooled.detach().norm(dim=1).mean()
            return F.normalize(self.neck(pooled))


def make_encoder(
    name: str, weights: str, last_stride: int = 1, size: tuple[int, int] = (256, 128)
) -> tuple[Encoder, str]:
    """An Encoder by the backbone's name, and one line that says what its weights are.

    name: `small` (four blocks, 128 numbers, for 64x32 pictures), a torchvision ResNet, or `timm:NAME`. weights:
    `imagenet`, `none` (drawn from torch's generator), or a file: a torchvision or timm state dict, or safetensors.
    Raises InputError for an unknown name, weights that cannot be had, and keys that are missing, surplus or misshapen.
    """
    body = _body(name, last_stride, size, pretrained=weights == "imagenet")
    if weights == "imagenet":
        origin = "weights from ImageNet"
    elif weights == "none":
        origin = "random weights: no pretraining"
    else:
        _load(body, Path(weights))
        origin = f"weights from {weights}"
    body.eval()
    with torch.no_grad():
        width = body(torch.zeros(1, 3, *size)).shape[1]
    return Encoder(body, width), f"backbone {name}, {width} numbers a feature, {origin}"


def calibrate(encoder: nn.Module, batches: Iterable[Tensor]) -> None:
    """Set every batch norm's running statistics to their plain mean over these batches (B, 3, H, W).

    Random weights need it before features are taken in evaluation mode: the initial statistics do not fit them.
    """
    norms = [module for module in encoder.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    encoder.train()
    with torch.no_grad():
        for batch in batches:
            encoder(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


class _Block(nn.Module):
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
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.shortcut(x))


def _small(last_stride: int) -> nn.Module:
    """A ResNet for pictures of 64x32: 3x3 stem of stride 2, blocks of width 16, 32, 64, 128."""
    stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
    blocks = [_Block(16, 16, 1), _Block(16, 32, 2), _Block(32, 64, 2), _Block(64, 128, last_stride)]
    body = nn.Sequential(stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    for module in body.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return body


def _body(name: str, last_stride: int, size: tuple[int, int], pretrained: bool) -> nn.Module:
    if name == "small":
        if pretrained:
            raise InputError("backbone small has no ImageNet weights: give --backbone-weights none, or a file of yours")
        return _small(last_stride)
    if name.startswith("timm:"):
        return _timm(name.removeprefix("timm:"), size, pretrained)
    if name not in RESNETS:
        raise InputError(f"backbone {name!r} is not known: choose small, {', '.join(RESNETS)}, or timm:NAME")
    build, published = RESNETS[name]
    try:
        body = build(weights=published if pretrained else None)
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


def _timm(name: str, size: tuple[int, int], pretrained: bool) -> nn.Module:
    try:
        import timm
    except ImportError as error:
        raise InputError(f"backbone timm:{name} needs timm: pip install timm") from error
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), 3)
        hint = f"did you mean {', '.join(near)}?" if near else "see timm.list_models()"
        raise InputError(f"backbone timm:{name} is not known to timm: {hint}")
    try:
        try:
            return timm.create_model(name, pretrained=pretrained, num_classes=0, img_size=size)
        except TypeError:  # Convolutional models take pictures of any size and no such argument.
            return timm.create_model(name, pretrained=pretrained, num_classes=0)
    except (OSError, RuntimeError) as error:
        line = str(error).splitlines()[0]
        raise InputError(
            f"the pretrained weights of timm:{name} cannot be had ({line}): bring them as a file and give it as"
            " --backbone-weights, or give none"
        ) from error


def _load(body: nn.Module, path: Path) -> None:
    """Load a state dict into the body; a classifier's keys are left out, anything else must fit exactly."""
    state = {key.removeprefix("module."): value for key, value in _read_state(path).items()}
    wanted = body.state_dict()
    missing = [key for key in wanted if key not in state and not key.endswith("num_batches_tracked")]
    surplus = [key for key in state if key not in wanted and not key.startswith(CLASSIFIERS)]
    shapes = [key for key in wanted if key in state and state[key].shape != wanted[key].shape]
    for what, keys in (("are missing", missing), ("are not of this backbone", surplus), ("have another shape", shapes)):
        if keys:
            more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
            raise InputError(f"{path}: keys {', '.join(keys[:3])}{more} {what}: choose the backbone the file is of")
    body.load_state_dict({key: value for key, value in state.items() if key in wanted}, strict=False)


def _read_state(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise InputError(f"{path}: no such file of backbone weights; give imagenet, none, or a file")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, RuntimeError, EOFError, ValueError, OSError) as error:
        reason = (str(error).splitlines() or ["it ends too early"])[0]
        raise InputError(f"{path}: no state dict can be read from it ({reason})") from error
    except Exception as error:  # pickle.UnpicklingError: anything but tensors is refused, and is not run.
        raise InputError(f"{path}: holds more than tensors, which is not loaded; save its state dict alone") from error
    for wrapper in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise InputError(f"{path}: is no state dict; save model.state_dict()")
    return content
