"""Perceptual losses: two pictures compared in the features of a VGG-19 trained on ImageNet."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
import torchvision
from torch import nn
from torch.nn import functional

from data.runtime.errors import InputError

# Indices in torchvision's `vgg19().features` of the ReLUs after conv1_1 … conv5_1, and after conv2_2, 3_4, 4_4, 5_2.
_CONTENT = (1, 6, 11, 20, 29)
_STYLE = (8, 17, 26, 31)
_DEPTH = 32


class Perceptual(nn.Module):
    """Content and style losses (Johnson et al. 2016) at the layers that PISE takes.

    Args:
        features: the first 32 layers of torchvision's `vgg19().features`.
    """

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, features: nn.Sequential) -> None:
        super().__init__()
        self.features = features.eval().requires_grad_(False)
        for layer in features:
            if isinstance(layer, nn.ReLU):
                layer.inplace = False
        # ImageNet's, for pictures in [0, 1].
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1))
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1))

    def forward(self, painted: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compare pictures (B, 3, H, W) in [-1, 1], of at least 16 x 16 pixels.

        Returns:
            Content, the sum over five layers of the mean absolute difference of the features, and style, the same over
            four layers of their Gram matrices divided by the number of features.
        """
        count = len(painted)
        with torch.autocast(painted.device.type, torch.bfloat16):
            x = ((torch.cat([painted, target]) + 1) / 2 - self.mean) / self.deviation
            kept = {}
            for index, layer in enumerate(self.features):
                x = layer(x)
                if index in _CONTENT or index in _STYLE:
                    kept[index] = x
        content = [functional.l1_loss(*kept[index].float().split(count)) for index in _CONTENT]
        style = [functional.l1_loss(*_gram(kept[index].float()).split(count)) for index in _STYLE]
        return torch.stack(content).sum(), torch.stack(style).sum()


def load_perceptual(path: Path, device: torch.device) -> Perceptual:
    """Make the losses from a state dict of torchvision's vgg19, read without unpickling code.

    Args:
        path: the file (vgg19-dcbb9e9d.pth).
        device: where to compute.

    Raises:
        InputError: the file is missing, no state dict, or of another network (the first tensor that differs is named).
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file: give the weights of torchvision's vgg19 (vgg19-dcbb9e9d.pth)")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise InputError(f"{path}: not a readable state dict: give the weights of torchvision's vgg19") from error
    with torch.device("meta"):
        network = torchvision.models.vgg19().features[:_DEPTH]
    found = {}
    for name, wanted in network.state_dict().items():
        tensor = state.get(f"features.{name}") if isinstance(state, dict) else None
        if not isinstance(tensor, torch.Tensor) or tensor.shape != wanted.shape:
            has = tuple(tensor.shape) if isinstance(tensor, torch.Tensor) else "missing"
            raise InputError(
                f"{path}: features.{name} is {has}, torchvision's vgg19 has {tuple(wanted.shape)}: give its weights"
            )
        found[name] = tensor.float()
    network.load_state_dict(found, assign=True)
    return Perceptual(network).to(device)


def _gram(features: torch.Tensor) -> torch.Tensor:
    """Products of the channels, (B, C, C), of features (B, C, H, W), divided by C·H·W."""
    flat = features.flatten(2)
    return flat @ flat.transpose(1, 2) / flat[0].numel()
