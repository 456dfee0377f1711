"""Config: every setting of a training run, with its default, its bounds and its symbol in the paper."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from data.runtime.errors import InputError
from trainer import method
from trainer.presets import PRESETS

Command = TypeVar("Command", bound=Callable[..., Any])

SAMPLINGS = tuple(method.UPDATES)


def _setting(
    default: Any,
    text: str,
    symbol: str = "",
    choices: tuple[Any, ...] = (),
    low: float = -math.inf,
    high: float = math.inf,
) -> Any:
    metadata = {"help": text, "symbol": symbol, "choices": choices, "low": low, "high": high}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Config:
    """The settings that decide what a run learns; the defaults are the paper's (DESIGN.md, section 1).

    Raises InputError where a value is of another type, out of its bounds, or impossible beside another one.
    """

    seed: int = _setting(0, "seed of everything that is drawn", low=0)

    backbone: str = _setting("resnet50", "small, a torchvision ResNet, or timm:NAME", "E")
    backbone_weights: str = _setting("imagenet", "what it starts from: imagenet, none, or a file")
    last_stride: int = _setting(1, "stride of the last stage of a ResNet", choices=(1, 2))
    height: int = _setting(256, "height of the network's input, pixels", low=16)
    width: int = _setting(128, "width of the network's input, pixels", low=8)

    c_a: bool = _setting(True, "contrast the redrawn images too", "C_a")
    c_i: bool = _setting(True, "draw a photo and its redrawn images together by L_s", "C_i")
    sampling: str = _setting("both", "what steps the memories; both is C_s, none is Cluster Contrast", "C_s", SAMPLINGS)
    versions: int = _setting(4, "redrawn images used of each photo", "S", low=1)

    search: str = _setting("exact", "of neighbours; approximate for 10^6 photos and more", choices=method.SEARCHES)
    k1: int = _setting(method.K1, "neighbours of the Jaccard distance", "k1", low=1)
    k2: int = _setting(method.K2, "neighbours of its query expansion", "k2", low=1)
    eps: float = _setting(method.EPS, "radius of DBSCAN in Jaccard distance", "epsilon", low=0.01, high=0.99)
    min_samples: int = _setting(
        method.MIN_SAMPLES, "photos within epsilon that make a core point of DBSCAN", "M", low=1
    )
    instance_epochs: int = _setting(
        0, "first epochs in which each photo may be its own class, if no cluster is found", low=0
    )

    batch_clusters: int = _setting(8, "clusters in a batch", "P", low=1)
    batch_photos: int = _setting(4, "photos of each cluster in a batch", "K", low=1)
    crop: float = _setting(
        1.125, "times the input's size a photo is taken at before the random crop; 1 is no crop", low=1.0, high=4.0
    )
    flip: float = _setting(0.5, "probability of a horizontal flip", low=0.0, high=1.0)

    temperature: float = _setting(method.TEMPERATURE, "temperature of the contrastive loss L_q", "tau", low=1e-4)
    momentum: float = _setting(0.3, "share of the old memory kept in a step", "m", low=0.0, high=1.0)
    alpha: float = _setting(0.3, "weight of L_s", "alpha", low=0.0)
    consistency_temperature: float = _setting(
        method.DISTRIBUTION_TEMPERATURE,
        "of the softmax over a feature's numbers, in L_s and to find the hardest",
        "T",
        low=1e-4,
    )
    consistency_from: int = _setting(1, "first epoch with L_s", low=1)

    lr: float = _setting(3.5e-4, "learning rate of Adam", low=0.0)
    weight_decay: float = _setting(5e-4, "weight decay, of biases too", low=0.0)
    warmup: int = _setting(20, "epochs over which the learning rate grows linearly to its full value", low=0)
    epochs: int = _setting(120, "epochs; each begins with a clustering", low=1)
    iterations: int = _setting(400, "steps of an epoch, whatever the clustering gives", low=1)
    validate_every: int = _setting(0, "epochs between looks at the validation people, for best.pt; 0 is never", low=0)

    precision: str = _setting("float32", "numbers of the encoder's forward pass", choices=method.PRECISIONS)
    compile: bool = _setting(False, "torch.compile the encoder")
    sync_bn: bool = _setting(False, "batch norm over the images of all processes")
    deterministic: bool = _setting(False, "the same run twice gives the same bits on a GPU too, at some cost of time")

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if type(field.default) is float and type(value) is int:
                object.__setattr__(self, field.name, value := float(value))
            _check(field, value)
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


def options(command: Command) -> Command:
    """Give a click command one option for each setting; those not named on the command line come as None."""
    for field in reversed(dataclasses.fields(Config)):
        meta, kind = field.metadata, type(field.default)
        flag = "--" + field.name.replace("_", "-")
        names = [f"{flag}/--no-{flag[2:]}"] if kind is bool else [flag]
        symbol = f"{meta['symbol']}: " if meta["symbol"] else ""
        choice = click.Choice(meta["choices"]) if kind is str and meta["choices"] else kind
        one_of = f" ({' or '.join(str(c) for c in meta['choices'])})" if meta["choices"] and kind is not str else ""
        text = f"{symbol}{meta['help']}{one_of}  [{_defaults(field)}]"
        command = click.option(*names, field.name, type=choice, default=None, help=text)(command)
    return command


def _defaults(field: dataclasses.Field[Any]) -> str:
    """Give the paper's value of a setting, and those of the presets that have another, as `paper 30, walkers 15`."""
    values: dict[str, Any] = {"paper": field.default}
    values |= {name: preset[field.name] for name, preset in PRESETS.items() if field.name in preset}
    if type(field.default) is bool:
        values = {name: "on" if value else "off" for name, value in values.items()}
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _check(field: dataclasses.Field[Any], value: Any) -> None:
    meta, kind = field.metadata, type(field.default)
    if type(value) is not kind:
        raise InputError(f"{field.name} is {value!r}: give {'true or false' if kind is bool else f'a {kind.__name__}'}")
    if meta["choices"] and value not in meta["choices"]:
        raise InputError(f"{field.name} is {value!r}: choose one of {', '.join(str(c) for c in meta['choices'])}")
    if kind in (int, float) and not meta["low"] <= value <= meta["high"]:
        top = f" and at most {meta['high']:g}" if meta["high"] < math.inf else ""
        raise InputError(f"{field.name} is {value}: give at least {meta['low']:g}{top}")
