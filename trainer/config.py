"""Config: every setting of a training run, with its default, its bounds and its symbol in the paper."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from data.runtime.errors import InputError
from trainer import method
from trainer.presets import PRESETS
from trainer.settings import check_settings, setting

SAMPLINGS = tuple(method.UPDATES)


@dataclass(frozen=True)
class Config:
    """The settings that decide what a run learns; the defaults are the paper's (DESIGN.md, section 1).

    Raises InputError where a value is of another type, out of its bounds, or impossible beside another one.
    """

    seed: int = setting(0, "seed of everything that is drawn", low=0)

    backbone: str = setting("resnet50", "small, a torchvision ResNet, or timm:NAME", "E")
    backbone_weights: str = setting("imagenet", "what it starts from: imagenet, none, or a file")
    last_stride: int = setting(1, "stride of the last stage of a ResNet", choices=(1, 2))
    height: int = setting(256, "height of the network's input, pixels", low=16)
    width: int = setting(128, "width of the network's input, pixels", low=8)

    c_a: bool = setting(True, "contrast the redrawn images too", "C_a")
    c_i: bool = setting(True, "draw a photo and its redrawn images together by L_s", "C_i")
    sampling: str = setting("both", "what steps the memories; both is C_s, none is Cluster Contrast", "C_s", SAMPLINGS)
    versions: int = setting(4, "redrawn images used of each photo", "S", low=1)

    search: str = setting("exact", "of neighbours; approximate for 10^6 photos and more", choices=method.SEARCHES)
    k1: int = setting(method.K1, "neighbours of the Jaccard distance", "k1", low=1)
    k2: int = setting(method.K2, "neighbours of its query expansion", "k2", low=1)
    eps: float = setting(method.EPS, "radius of DBSCAN in Jaccard distance", "epsilon", low=0.01, high=0.99)
    min_samples: int = setting(method.MIN_SAMPLES, "photos within epsilon that make a core point of DBSCAN", "M", low=1)
    instance_epochs: int = setting(
        0, "first epochs in which each photo may be its own class, if no cluster is found", low=0
    )

    batch_clusters: int = setting(8, "clusters in a batch", "P", low=1)
    batch_photos: int = setting(4, "photos of each cluster in a batch", "K", low=1)
    crop: float = setting(
        1.125, "times the input's size a photo is taken at before the random crop; 1 is no crop", low=1.0, high=4.0
    )
    flip: float = setting(0.5, "probability of a horizontal flip", low=0.0, high=1.0)

    backgrounds: float = setting(
        0.0, "probability that an image is shown before another photo's background", low=0.0, high=1.0
    )
    labeller: bool = setting(False, "cluster by a second encoder, which learns from photos alone")
    labeller_epochs: int = setting(0, "first epochs, in which only that second encoder learns", low=0)
    camera_negatives: bool = setting(
        False, "contrast a photo only with clusters that its camera saw; another one may be the same person"
    )
    camera_means: bool = setting(False, "take each camera's mean out of the features before they are clustered")

    temperature: float = setting(method.TEMPERATURE, "temperature of the contrastive loss L_q", "tau", low=1e-4)
    momentum: float = setting(0.3, "share of the old memory kept in a step", "m", low=0.0, high=1.0)
    alpha: float = setting(0.3, "weight of L_s", "alpha", low=0.0)
    consistency_temperature: float = setting(
        method.DISTRIBUTION_TEMPERATURE,
        "of the softmax over a feature's numbers, in L_s and to find the hardest",
        "T",
        low=1e-4,
    )
    consistency_from: int = setting(1, "first epoch with L_s", low=1)

    lr: float = setting(3.5e-4, "learning rate of Adam", low=0.0)
    weight_decay: float = setting(5e-4, "weight decay, of biases too", low=0.0)
    warmup: int = setting(20, "epochs over which the learning rate grows linearly to its full value", low=0)
    epochs: int = setting(120, "epochs; each begins with a clustering", low=1)
    iterations: int = setting(400, "steps of an epoch, whatever the clustering gives", low=1)
    validate_every: int = setting(0, "epochs between looks at the validation people, for best.pt; 0 is never", low=0)

    precision: str = setting("float32", "numbers of the encoder's forward pass", choices=method.PRECISIONS)
    compile: bool = setting(False, "torch.compile the encoder")
    sync_bn: bool = setting(False, "batch norm over the images of all processes")
    deterministic: bool = setting(False, "the same run twice gives the same bits on a GPU too, at some cost of time")

    def __post_init__(self) -> None:
        check_settings(self)
        if self.labeller_epochs >= self.epochs or (self.labeller_epochs and not self.labeller):
            raise InputError(
                f"labeller_epochs is {self.labeller_epochs}: give --labeller, and fewer than the {self.epochs} epochs"
            )
        if self.batch_photos * self.batch_clusters < 2:
            raise InputError("batch_clusters x batch_photos is 1: batch norm needs two images at least")

    @property
    def images(self) -> int:
        """How many images of each photo are encoded: the photo, and its redrawn ones where the method uses them."""
        return 1 + self.versions if self.c_a or self.c_i else 1

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that differ where any setting differs."""
        return hashlib.sha256(json.dumps(dataclasses.asdict(self), sort_keys=True).encode()).hexdigest()[:12]


RETIRED = frozenset({"channels_last", "calibration_batches"})
"""Settings that older runs' config.json still names; what they asked for is always done, or is a constant."""


def make_config(preset: str = "paper", *overrides: Mapping[str, Any]) -> Config:
    """Make a Config from a preset and settings that replace the preset's; later ones replace earlier ones.

    Raises:
        InputError: a preset or a setting does not exist, or Config refuses a value.
    """
    if preset not in PRESETS:
        raise InputError(f"preset {preset!r} is not known: choose one of {', '.join(PRESETS)}")
    known = [field.name for field in dataclasses.fields(Config)]
    settings = dict(PRESETS[preset])
    for override in overrides:
        for name in override:
            if name not in known:
                raise InputError(f"setting {name!r} is not known; known are {', '.join(known)}")
        settings.update(override)
    return Config(**settings)
