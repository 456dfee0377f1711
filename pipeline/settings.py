"""Settings: all that can be chosen about a sync and about a fit, from which the options of the commands are made."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import click

import data
from data.runtime.options import PATH, Size, option
from pipeline.annotate.label_spaces import LABEL_SPACES

CUTS = ("photo", "template")
"""Whose shape the clothes have."""
PRECISIONS = ("float32", "bfloat16")
"""What to paint in, as torch calls it."""
PADDINGS = ("edge", "white")
"""What surrounds a photo on a canvas of another aspect."""
PAINTERS = ("pise", "recolour", "mixed", "ideal")


@dataclass(frozen=True)
class AnnotationSettings:
    """Where pose and parsing come from; by default what the data set has of its own, else what is built in."""

    parsing: Path | None = field(default=None, metadata=option("folder of parsing PNGs; say their --labels", PATH))
    labels: str | None = field(
        default=None, metadata=option("what the parsing's labels mean", click.Choice(sorted(LABEL_SPACES)))
    )
    keypoints: Path | None = field(default=None, metadata=option("folder of OpenPose JSON files, or a CSV file", PATH))
    parsing_model: str | None = field(
        default=None, metadata=option("SegFormer made for clothes: its name on the hub, or a folder")
    )
    pose_model: str | None = field(default=None, metadata=option("ViTPose: its name on the hub, or a folder"))

    @property
    def chosen(self) -> bool:
        """Whether anything was chosen."""
        return self != AnnotationSettings()


@dataclass(frozen=True)
class SyncSettings:
    """What is redrawn, and how; sizes are (height, width) in pixels."""

    dataset: str | None = field(
        default=None,
        metadata=option("which data set; by default the one of the last store", click.Choice(data.names())),
    )
    data_root: Path | None = field(
        default=None, metadata=option("its folder; by default work/datasets/<dataset>", PATH)
    )
    size: tuple[int, int] | None = field(
        default=None, metadata=option("of the store's images; by default 256x128, for walkers 64x32", Size())
    )
    versions: int = field(default=4, metadata=option("S, outfits a photo", click.IntRange(1), "-s", "--versions"))
    weights: Path | None = field(
        default=None, metadata=option("PISE checkpoint; for walkers there is one built in", PATH)
    )
    templates: Path | None = field(
        default=None, metadata=option("folder of clothed people; by default training photos", PATH)
    )
    bank: int | None = field(
        default=None, metadata=option("draw each photo's S outfits from this many templates", click.IntRange(1))
    )
    regions: str = field(default="3,4,5", metadata=option("labels of the regions that change"))
    cut: str | None = field(
        default=None,
        metadata=option("of the clothes; by default the template's if the weights are made for it", click.Choice(CUTS)),
    )
    keep_person: bool = field(
        default=False, metadata=option("keep all but the clothes as the photo's own pixels", bool)
    )
    canvas: tuple[int, int] | None = field(
        default=None, metadata=option("what the generator paints on; by default as its weights were made", Size())
    )
    padding: str = field(default="edge", metadata=option("of a --canvas", click.Choice(PADDINGS)))
    precision: str = field(default="float32", metadata=option("of painting", click.Choice(PRECISIONS)))
    device: str = field(default="", metadata=option("cpu, cuda or cuda:N; by default a GPU if there is one"))
    seed: int = field(default=0, metadata=option("of the choice of templates", click.IntRange(0)))
    painter: str | None = field(
        default=None,
        metadata=option(
            "pise, the generator, by default where there are weights; recolour, else, gives garments the colours of "
            "other photos' garments; mixed makes half of the versions by each of them; ideal renders walkers anew in "
            "the clothes that the generator would paint",
            click.Choice(PAINTERS),
        ),
    )
    annotations: AnnotationSettings = field(default_factory=AnnotationSettings)


@dataclass(frozen=True)
class FitSettings:
    """Which photos a generator is fitted to, and how; None stands for what suits the data set."""

    dataset: str = field(
        default="walkers",
        metadata=option(
            "whose unlabelled training photos to fit to; walkers: people rendered for it; people: exact pairs",
            click.Choice([*data.names(), "people"]),
        ),
    )
    data_root: Path | None = field(
        default=None, metadata=option("its folder; by default work/datasets/<dataset>", PATH)
    )
    scenes: int | None = field(
        default=None,
        metadata=option("scenes to render, or the most photos to read; by default 6000", click.IntRange(2)),
    )
    size: tuple[int, int] | None = field(
        default=None, metadata=option("of the pictures; by default 256x128, for walkers 128x64", Size())
    )
    channels: int | None = field(
        default=None, metadata=option("of the network; by default 32, walkers 16 (PISE's: 64)", click.IntRange(1))
    )
    steps: int | None = field(
        default=None, metadata=option("of training; by default 20000, for walkers 12000", click.IntRange(1))
    )
    batch: int | None = field(default=None, metadata=option("examples a step; by default 10", click.IntRange(2)))
    vgg_weights: Path | None = field(
        default=None, metadata=option("of torchvision's vgg19: adds perceptual and style losses", PATH)
    )
    same_clothes: bool = field(
        default=False, metadata=option("learn from other photos in the same clothes, by the labels", bool)
    )
    device: str = field(default="", metadata=option("cpu, cuda or cuda:N; by default a GPU if there is one"))
    seed: int = field(default=0, metadata=option("of all that is drawn", click.IntRange(0)))
    annotations: AnnotationSettings = field(default_factory=AnnotationSettings)
