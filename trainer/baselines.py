"""Baselines: every setting of a supervised method, by which ours is judged; here are names and numbers, no labels."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from data.runtime.errors import InputError
from trainer import presets
from trainer.method import PRECISIONS
from trainer.settings import check_settings, setting

LOMO = ("lomo-kissme", "lomo-xqda")
"""Methods that learn a metric of hand-made features in one go, without a network."""

METHODS: dict[str, dict[str, Any]] = {
    "lomo-kissme": {},
    "lomo-xqda": {},
    "twin": {},
    "pcb": {"height": 384, "epochs": 60},
    "mgn": {"height": 384, "epochs": 80},
    "rga-sc": {},
    "sgps": {"epochs": 60},
    "cesd": {"height": 384, "width": 192},
    "fsam": {},
    "cal": {"height": 384, "width": 192, "batch_people": 8, "batch_photos": 8, "epochs": 60},
}
"""What each method's paper or public code sets otherwise than the defaults."""

_FIXED: dict[str, Any] = {
    "backbone": "lomo",
    "backbone_weights": "none",
    "height": 128,
    "width": 48,
    "epochs": 1,
    "precision": "float32",
}
"""What LOMO is, whatever the preset: its features are made for pictures of this size."""


@dataclass(frozen=True)
class BaselineConfig:
    """The settings that decide what a supervised method learns.

    Raises InputError where a value is of another type, out of its bounds, or impossible beside another one.
    """

    method: str = setting("twin", "what is trained", choices=tuple(METHODS))
    seed: int = setting(0, "seed of everything that is drawn", low=0)

    backbone: str = setting("resnet50", "small or a torchvision ResNet")
    backbone_weights: str = setting("imagenet", "what it starts from: imagenet, none, or a file")
    last_stride: int = setting(1, "stride of the last stage", choices=(1, 2))
    height: int = setting(256, "height of the network's input, pixels", low=16)
    width: int = setting(128, "width of the network's input, pixels", low=8)

    batch_people: int = setting(16, "people in a batch", "P", low=2)
    batch_photos: int = setting(4, "photos of each person in a batch", "K", low=2)
    crop: float = setting(
        1.125, "times the input's size a photo is taken at before the random crop; 1 is no crop", low=1.0, high=4.0
    )
    flip: float = setting(0.5, "probability of a horizontal flip", low=0.0, high=1.0)

    lr: float = setting(3.5e-4, "learning rate of Adam; a tenth of it after each third of the epochs", low=0.0)
    weight_decay: float = setting(5e-4, "weight decay, of biases too", low=0.0)
    warmup: int = setting(10, "epochs over which the learning rate grows linearly to its full value", low=0)
    epochs: int = setting(120, "epochs", low=1)
    iterations: int = setting(200, "steps of an epoch", low=1)

    precision: str = setting("float32", "numbers of the encoder's forward pass", choices=PRECISIONS)

    def __post_init__(self) -> None:
        check_settings(self)
        fixed = _FIXED if self.method in LOMO else {}
        for name, value in fixed.items():
            given = getattr(self, name)
            if given != value:
                raise InputError(f"{name} is {given!r}, but of {self.method} it is always {value!r}: leave it out")

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that differ where any setting differs."""
        return hashlib.sha256(json.dumps(dataclasses.asdict(self), sort_keys=True).encode()).hexdigest()[:12]


PRESETS: dict[str, dict[str, Any]] = {
    name: {field.name: preset[field.name] for field in dataclasses.fields(BaselineConfig) if field.name in preset}
    for name, preset in presets.PRESETS.items()
}
"""The label-free presets, as far as they go: the same encoder, size and steps, so that the two can be compared."""


def make_baseline(name: str, preset: str = "paper", given: Mapping[str, Any] | None = None) -> BaselineConfig:
    """Make the settings of a method: its own, then the preset's, then those given.

    Raises:
        InputError: there is no such method or preset, or BaselineConfig refuses a value.
    """
    if preset not in PRESETS:
        raise InputError(f"preset {preset!r} is not known: choose one of {', '.join(PRESETS)}")
    if name not in METHODS:
        raise InputError(f"method {name!r} is not known: choose one of {', '.join(METHODS)}")
    fixed = _FIXED if name in LOMO else {}
    return BaselineConfig(**{**METHODS[name], **PRESETS[preset], **fixed, **(given or {}), "method": name})


def read_baseline(settings: Mapping[str, Any]) -> BaselineConfig:
    """Make the settings that a run's config.json holds.

    Raises:
        InputError: one is unknown, or BaselineConfig refuses a value.
    """
    known = [field.name for field in dataclasses.fields(BaselineConfig)]
    for name in settings:
        if name not in known:
            raise InputError(f"setting {name!r} is not known; known are {', '.join(known)}")
    return BaselineConfig(**settings)
