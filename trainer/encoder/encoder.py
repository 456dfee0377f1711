"""Encoder: a backbone, global average pooling and a batch-norm neck; pictures in, features of unit length out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from data.runtime.devices import choose_device
from trainer.baselines import LOMO, BaselineConfig
from trainer.batches import Input, normalise, read_photos
from trainer.config import Config
from trainer.encoder.backbones import make_backbone
from trainer.encoder.networks import Lomo, has_neck, lomo_input, make_network
from trainer.encoder.weights import load_weights
from trainer.runs import find_checkpoint


class Encoded(NamedTuple):
    """Features (B, d) of unit length, and the mean length of the backbone's vectors, a scalar: a sign of health."""

    features: Tensor
    length: Tensor


class Encoder(nn.Module):
    """Photos to features of unit length; two photos are of one person where their features' product is large.

    `Encoder.load(run).embed(paths)` is all that is needed to use a trained one.

    Args:
        body: gives one vector a picture, (B, d), for normalised pictures (B, 3, H, W).
        dimensions: length d of a feature.
        input: size of the pictures and what they are normalised by.
        precision: number format in which the body computes, `float32` or `bfloat16`.
        neck: whether a batch norm stands between the body's vectors and the features.
    """

    def __init__(
        self,
        body: nn.Module,
        dimensions: int,
        input: Input | None = None,
        precision: str = "float32",
        neck: bool = True,
    ) -> None:
        super().__init__()
        self.body = body
        self.dimensions = dimensions
        self.input = input or Input()
        self.precision = precision
        self.neck: nn.Module = nn.Identity()
        if neck:
            # No trained shift, so that features stay centred.
            self.neck = norm = nn.BatchNorm1d(dimensions)
            norm.bias.requires_grad_(False)

    @classmethod
    def load(cls, run_or_path: str | Path, which: str = "last", device: str = "") -> Encoder:
        """Load the encoder of a run, in evaluation mode.

        Args:
            run_or_path: a run's name, a run's folder, or a checkpoint file in one.
            which: of a run, the `last` encoder or the `best` (which training with --validate-every keeps).
            device: `cpu`, `cuda` or `cuda:N`; a GPU if there is one where none is named.

        Raises:
            InputError: there is no such run or checkpoint, or it is damaged.
        """
        config, content = find_checkpoint(run_or_path, which)
        return restore_encoder(config, content, choose_device(device, torch.cuda.device_count())).eval()

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(chain(self.parameters(), self.buffers())).device

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that differ where a weight, the input or the precision differs."""
        hashed = hashlib.sha256(repr((self.input, self.precision)).encode())
        for name, tensor in sorted(self.state_dict().items()):
            hashed.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            hashed.update(tensor.cpu().contiguous().flatten().view(torch.uint8).numpy())
        return hashed.hexdigest()[:12]

    def forward(self, images: Tensor) -> Tensor:
        """Give features, float32 (B, d) of unit length, of normalised pictures (B, 3, H, W)."""
        return self.encoded(images).features

    def encoded(self, images: Tensor) -> Encoded:
        """Give features and the length they had; neck and norm are float32 whatever the precision of the body."""
        with self.computing():
            vectors = self.body(images)
        with torch.autocast(images.device.type, enabled=False):
            vectors = vectors.float()
            return Encoded(F.normalize(self.neck(vectors)), vectors.detach().norm(dim=1).mean())

    def computing(self) -> torch.autocast:
        """Give the context in which the body computes, in the number format of `precision`."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bfloat16")

    def embed(self, paths: Sequence[str | Path], workers: int = 0, flip: bool = False) -> np.ndarray:
        """Give features, float32 (N, d), of photo files, in the order given, each of length 1.

        Args:
            paths: the photos, each already cut to one person.
            workers: processes that read ahead; 0 reads in this one.
            flip: whether to take the mean over a photo and its mirror image.

        Raises:
            InputError: a file cannot be read as a picture.
        """
        return self.encode(read_photos(paths, self.input.size, workers), flip).cpu().numpy()

    @torch.no_grad()
    def encode(self, batches: Iterable[Tensor], flip: bool = False) -> Tensor:
        """Give features, float32 (N, d) on the encoder's device, in evaluation mode.

        Args:
            batches: pictures, uint8 (n, H, W, 3).
            flip: whether to take the mean over a picture and its mirror image.
        """
        self.eval()
        features = [torch.empty(0, self.dimensions, device=self.device)]
        for batch in batches:
            images = normalise(batch.to(self.device, non_blocking=True), self.input)
            images = images.contiguous(memory_format=torch.channels_last)
            taken = self(images)
            features.append(F.normalize(taken + self(images.flip(-1))) if flip else taken)
        return torch.cat(features)


def make_encoder(
    config: Config | BaselineConfig, weights: str | None = None, device: str | torch.device = "cpu"
) -> Encoder:
    """Make the encoder of these settings on a device.

    Args:
        config: names the backbone, its input, stride, weights and precision; of a baseline also the network around it.
        weights: what it starts from in place of the config's: `imagenet`, `none`, or a file.
        device: where it shall be.

    Raises:
        InputError: the backbone is unknown, or its weights cannot be had or do not fit.
    """
    weights = weights or config.backbone_weights
    size = (config.height, config.width)
    body, taken = make_backbone(config.backbone, size, config.last_stride, pretrained=weights == "imagenet")
    if weights not in ("imagenet", "none"):
        load_weights(body, Path(weights))
    neck = True
    if isinstance(config, BaselineConfig):
        body, neck = make_network(config, body), has_neck(config.method)
    body.eval()
    with torch.no_grad():
        dimensions = body(torch.zeros(1, 3, *size)).shape[1]
    encoder = Encoder(body, dimensions, taken, config.precision, neck)
    return encoder.to(device).to(memory_format=torch.channels_last)


def restore_encoder(
    config: Config | BaselineConfig, content: dict[str, Any], device: str | torch.device = "cpu"
) -> Encoder:
    """Make the encoder of these settings with the weights of a checkpoint's content."""
    if isinstance(config, BaselineConfig) and config.method in LOMO:
        encoder = make_lomo(config, 1 + len(content["encoder"]["body.projection"])).to(device)
    else:
        encoder = make_encoder(config, "none", device)
    encoder.load_state_dict(content["encoder"])
    return encoder


def make_lomo(config: BaselineConfig, dimensions: int) -> Encoder:
    """Make the encoder of LOMO's features and a linear map that is still to be learnt, to this many dimensions."""
    return Encoder(Lomo(dimensions), dimensions, lomo_input(config), config.precision, neck=False)


def describe(config: Config | BaselineConfig, encoder: Encoder) -> str:
    """Say in one line what an encoder starts from."""
    named = {"imagenet": "weights from ImageNet", "none": "random weights: no pretraining"}
    origin = named.get(config.backbone_weights, f"weights from {config.backbone_weights}")
    return f"backbone {config.backbone}, {encoder.dimensions} numbers a feature, {origin}"


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
