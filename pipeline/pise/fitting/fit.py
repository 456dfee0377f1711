"""Fits: a generator made for rendered walkers, or for a data set's own photos of which nobody knows who they show."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from data.benchmark import Benchmark
from data.runtime.errors import InputError
from data.runtime.files import write_json
from pipeline.annotate.annotator import Annotator
from pipeline.pise.checkpoint import load_generator
from pipeline.pise.fitting.fidelity import Fidelity, measure_fidelity
from pipeline.pise.fitting.objectives import Objective, Shuffled
from pipeline.pise.fitting.pairs import render_scenes
from pipeline.pise.fitting.perceptual import load_perceptual
from pipeline.pise.fitting.photos import Photos, read_photos
from pipeline.pise.fitting.training import PiseSettings, train_generator, write_samples

FIDELITY = "fidelity.json"
HELD_OUT = "held-out.png"

_HELD_OUT_FROM = 6000
_HELD_OUT_SCENES = 200
_SHOWN = 16

Settings = TypeVar("Settings", bound=PiseSettings)


@dataclass(frozen=True)
class PhotoSettings(PiseSettings):
    """How a generator is fitted to photos; `scenes` is the most of them that are read.

    The weights of content and style are relative to the L1, as those of PISE are. `same_clothes` uses the labels of
    person and clothes. `examples` and `vgg` are digests: which photos and annotations, which VGG weights, if any.
    """

    width: int = 32
    height: int = 256
    picture_width: int = 128
    steps: int = 20000
    coarse_steps: int = 8000
    chroma_from: int = 10000
    codes_weight: float = 1.0
    content_weight: float = 0.1
    style_weight: float = 40.0
    same_clothes: bool = False
    examples: str = ""
    vgg: str = ""

    @property
    def recuts(self) -> bool:
        """See `PiseSettings`: a photo is only ever painted into its own parsing."""
        return False


def adjust(
    settings: Settings,
    *,
    steps: int | None = None,
    width: int | None = None,
    batch: int | None = None,
    size: tuple[int, int] | None = None,
    scenes: int | None = None,
    seed: int = 0,
) -> Settings:
    """The settings with what is given in place of theirs; the shares of coarse steps and of those without hues stay.

    Raises InputError for a `size` (height, width) that cannot be halved for the coarse steps.
    """
    height, picture_width = size or (settings.height, settings.picture_width)
    if min(height, picture_width) < 32 or height % 32 or picture_width % 32:
        raise InputError(f"size {height}x{picture_width}: both sides must be multiples of 32")
    steps = steps or settings.steps
    return replace(
        settings,
        steps=steps,
        coarse_steps=steps * settings.coarse_steps // settings.steps,
        chroma_from=steps * settings.chroma_from // settings.steps,
        width=width or settings.width,
        batch=batch or settings.batch,
        height=height,
        picture_width=picture_width,
        scenes=scenes or settings.scenes,
        seed=seed,
    )


def fit_scenes(settings: PiseSettings, folder: Path, device: torch.device, jobs: int = -1) -> tuple[Path, Fidelity]:
    """Fit a generator to rendered people and measure it on others, who are in no benchmark either.

    Beside the weights it leaves `fidelity.json` and a sheet of redrawn people it was not fitted to. Raises as
    `train_generator` does.
    """
    height, width = settings.height, settings.picture_width
    weights = train_generator(
        lambda: render_scenes(range(settings.scenes), settings.seed, height, width, jobs), settings, folder, device
    )
    first = max(_HELD_OUT_FROM, settings.scenes)
    others = render_scenes(range(first, first + _HELD_OUT_SCENES), settings.seed, height, width, jobs)
    generator = load_generator(weights, device)
    fidelity = measure_fidelity(generator, others, device)
    write_json(folder / FIDELITY, {**asdict(fidelity), "settings": asdict(settings)})
    write_samples(folder / HELD_OUT, generator, others.batch(np.arange(_SHOWN), person=0, outfit=0).to(device))
    return weights, fidelity


def fit_photos(
    benchmark: Benchmark,
    annotator: Annotator,
    settings: PhotoSettings,
    folder: Path,
    device: torch.device,
    vgg: Path | None = None,
) -> Path:
    """Fit a generator to the training photos of a data set; without `same_clothes` no label is looked at.

    How this can be done is said at `Photos.draw` and `Shuffled`. `vgg` gives weights for the perceptual losses. Raises
    as `train_generator`, `read_photos` and `load_perceptual` do.
    """
    perceptual = load_perceptual(vgg, device) if vgg else None
    settings = replace(
        settings,
        examples=_digest(annotator.digest, sorted(record.path.as_posix() for record in benchmark.train)),
        vgg=hashlib.sha256(vgg.read_bytes()).hexdigest()[:16] if vgg else "",
    )
    objective: Objective = Shuffled(
        settings.objective(), settings.codes_weight, settings.content_weight, settings.style_weight, perceptual
    )

    def read() -> Photos:
        size = (settings.height, settings.picture_width)
        fewest = max(2, settings.batch)
        return read_photos(
            benchmark.train, annotator, size, settings.scenes, settings.seed, fewest, settings.same_clothes
        )

    return train_generator(read, settings, folder, device, objective=objective)


def _digest(annotations: str, photos: Sequence[str]) -> str:
    return hashlib.sha256("\n".join([annotations, *photos]).encode()).hexdigest()[:16]
