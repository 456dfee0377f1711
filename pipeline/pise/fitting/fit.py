"""Fits: a generator made for rendered walkers, or for a data set's own photos of which nobody knows who they show."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from data.benchmark import Benchmark
from data.runtime.errors import InputError
from data.runtime.files import write_json
from pipeline.annotate.annotator import Annotator
from pipeline.annotate.parser.fitting.pictures import people_of
from pipeline.pise.checkpoint import load_generator
from pipeline.pise.fitting.fidelity import Fidelity, compare, measure_fidelity
from pipeline.pise.fitting.objectives import CutOut, Objective, Shuffled
from pipeline.pise.fitting.people import read_people
from pipeline.pise.fitting.perceptual import load_perceptual
from pipeline.pise.fitting.photos import Photos, read_photos
from pipeline.pise.fitting.samples import write_samples
from pipeline.pise.fitting.scenes import render_scenes
from pipeline.pise.fitting.settings import PeopleSettings, PhotoSettings, PiseSettings
from pipeline.pise.fitting.training import exact, train_generator

FIDELITY = "fidelity.json"
HELD_OUT = "held-out.png"

_HELD_OUT_FROM = 6000  # number of the first scene to measure on: beyond those that the built-in weights were fitted to
_HELD_OUT_SCENES = 200
_SHOWN = 16  # of them, on the sheet


def fit_scenes(settings: PiseSettings, folder: Path, device: torch.device, jobs: int = -1) -> tuple[Path, Fidelity]:
    """Fit a generator to rendered people and measure it on others, who are in no benchmark either.

    Beside the weights it leaves `fidelity.json` and a sheet of redrawn people it was not fitted to.

    Args:
        settings: how it is fitted.
        folder: of everything that is written.
        device: where to compute.
        jobs: processes that render, -1 for one a core.

    Returns:
        The weights' file, and what was measured.

    Raises:
        RunError: as `train_generator` does.
        Interrupted: as `train_generator` does.
    """
    height, width = settings.height, settings.width
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


def fit_people(
    root: Path, settings: PeopleSettings, folder: Path, device: torch.device, start: Path
) -> tuple[Path, Fidelity]:
    """Fit a generator to pictures of 3-D people and measure it on those of them that are held out.

    Args:
        root: the people, as `pictures.people_of` finds them.
        settings: how it is fitted.
        folder: of everything that is written.
        device: where to compute.
        start: the walkers' generator, from whose weights it goes on if it has as many channels.

    Returns:
        The weights' file, and what was measured.

    Raises:
        InputError: there are no such people.
        RunError: as `train_generator` does.
        Interrupted: as `train_generator` does.
    """
    folders, size = people_of(root), (settings.height, settings.width)
    fitted = len(folders) - settings.held_out
    if min(fitted, settings.held_out) < 1:
        raise InputError(f"{root}: {len(folders)} people are too few to hold {settings.held_out} of them out")
    walkers = load_generator(start, device)
    weights = train_generator(
        lambda: read_people(folders[:fitted], root, size),
        settings,
        folder,
        device,
        objective=CutOut(
            settings.clothes_weight,
            settings.chroma_weight,
            settings.early_chroma_weight,
            settings.chroma_from,
            settings.grid_weight,
        ),
        start=walkers if walkers.channels == settings.channels else None,
    )
    others, generator = read_people(folders[fitted:], root, size), load_generator(weights, device)
    fidelity = compare(generator, others.changes(), device)
    write_json(folder / FIDELITY, {**asdict(fidelity), "settings": asdict(settings)})
    write_samples(folder / HELD_OUT, generator, others.samples(np.random.default_rng(0), _SHOWN).to(device))
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

    How this can be done is said at `Photos.draw` and `Shuffled`.

    Args:
        benchmark: the data set; only its training photos are read.
        annotator: gives pose and parsing.
        settings: how the generator is fitted; its digests are filled in here.
        folder: of everything that is written.
        device: where to compute.
        vgg: weights for the perceptual losses, which are left out without.

    Returns:
        The weights' file.

    Raises:
        InputError: as `read_photos` and `load_perceptual` do.
        RunError: as `train_generator` does.
        Interrupted: as `train_generator` does.
    """
    perceptual = load_perceptual(vgg, device) if vgg else None
    settings = replace(
        settings,
        examples=_digest(annotator.digest, sorted(record.path.as_posix() for record in benchmark.train)),
        vgg=hashlib.sha256(vgg.read_bytes()).hexdigest()[:16] if vgg else "",
    )
    objective: Objective = Shuffled(
        exact(settings), settings.codes_weight, settings.content_weight, settings.style_weight, perceptual
    )

    def read() -> Photos:
        return read_photos(
            benchmark.train,
            benchmark.root,
            annotator,
            size=(settings.height, settings.width),
            most=settings.scenes,
            seed=settings.seed,
            fewest=max(2, settings.batch),
            same_clothes=settings.same_clothes,
        )

    return train_generator(read, settings, folder, device, objective=objective)


def _digest(annotations: str, photos: Sequence[str]) -> str:
    return hashlib.sha256("\n".join([annotations, *photos]).encode()).hexdigest()[:16]
