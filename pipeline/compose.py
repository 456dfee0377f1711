"""Composition: the one place where a sync is put together from its settings."""

from __future__ import annotations

from pathlib import Path

import torch

import data
from data.annotation import Region
from data.runtime.devices import choose_device
from data.runtime.errors import InputError
from data.runtime.places import ANNOTATIONS, STORES, dataset_root
from data.shards import newest_store, read_manifest
from pipeline.annotate.annotator import Annotator
from pipeline.annotate.choose import choose_annotator
from pipeline.framing import Canvas
from pipeline.outfits.templates import TemplateChoice
from pipeline.paint.ideal import IdealPainter
from pipeline.paint.painter import Painter
from pipeline.paint.pise import PisePainter
from pipeline.settings import AnnotationSettings, SyncSettings
from pipeline.sync import run as syncing

WALKERS_WEIGHTS = Path(__file__).parent / "pise" / "walkers.safetensors"

_SIZES = {"walkers": (64, 32)}
_SIZE = (256, 128)


def make_plan(settings: SyncSettings) -> syncing.Plan:
    """Put a sync together; nothing is written.

    Raises:
        InputError: something chosen is not there, cannot be used, or does not go with the rest.
    """
    dataset = settings.dataset or _last_dataset()
    # Workers of a cluster may stand in another folder.
    benchmark = data.open_benchmark(dataset, dataset_root(dataset, settings.data_root).absolute())
    device = find_device(settings.device)
    pise = PisePainter(
        _weights(dataset, settings.weights).absolute(),
        benchmark.root,
        make_annotator(settings.annotations, dataset, benchmark.root, device),
        TemplateChoice(settings.bank or settings.versions, settings.templates, settings.seed),
        versions=settings.versions,
        size=settings.size or _SIZES.get(dataset, _SIZE),
        canvas=Canvas(*settings.canvas, settings.padding) if settings.canvas else None,
        regions=_regions(settings.regions),
        keep=settings.keep_person,
        precision=settings.precision,
        device=device,
        cut=settings.cut,
    )
    painter: Painter = IdealPainter(pise) if settings.painter == "ideal" else pise
    # Said here, unusable weights are complained about before all photos are read.
    _ = painter.recipe
    return syncing.plan(dataset, benchmark.root, [record.path for record in benchmark.train], painter, STORES)


def make_annotator(settings: AnnotationSettings, dataset: str, root: Path, device: str) -> Annotator:
    """Choose the annotator of a data set whose folder is `root`; see `choose_annotator` for what it raises."""
    return choose_annotator(
        root,
        (ANNOTATIONS / dataset).absolute(),
        parsing=settings.parsing and settings.parsing.absolute(),
        keypoints=settings.keypoints and settings.keypoints.absolute(),
        labels=settings.labels,
        parsing_model=settings.parsing_model,
        pose_model=settings.pose_model,
        device=device,
    )


def find_device(name: str) -> str:
    """Give the device of this machine that `name` asks for, as `choose_device` does."""
    return choose_device(name, torch.cuda.device_count())


def _last_dataset() -> str:
    """The data set of the store that was made last, or walkers."""
    try:
        return read_manifest(newest_store(STORES)).dataset
    except InputError:
        return "walkers"


def _weights(dataset: str, given: Path | None) -> Path:
    if given:
        return given
    if dataset == "walkers":
        return WALKERS_WEIGHTS
    raise InputError(
        "no generator weights: give the texture-transfer checkpoint that PISE's authors publish (latest_net_G.pth), or "
        "one trained by `make pise`, as WEIGHTS"
    )


def _regions(given: str) -> tuple[int, ...]:
    known = range(1, len(Region))
    try:
        regions = tuple(sorted({int(label) for label in given.split(",")}))
    except ValueError:
        regions = ()
    if not regions or not set(regions) <= set(known):
        listed = ", ".join(f"{label} {Region(label).title}" for label in known)
        raise InputError(f"--regions {given}: give labels with commas between, of {listed}")
    return regions
