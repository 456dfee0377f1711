"""Composition: the one place where a sync, or the fit of a generator, is put together from its settings."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import torch

import data
from data.annotation import FOLDER, Region
from data.benchmark import Benchmark
from data.photo import name_below
from data.record import paths_of
from data.runtime.devices import choose_device
from data.runtime.errors import InputError
from data.runtime.logs import get_logger
from data.runtime.places import ANNOTATIONS, GENERATORS, STORES, dataset_root
from data.shards import newest_store, read_manifest
from pipeline.annotate.annotator import Annotator
from pipeline.annotate.choose import choose_annotator
from pipeline.framing import Canvas
from pipeline.outfits.choice import TemplateChoice
from pipeline.paint import IdealPainter, MixedPainter, Painter, PisePainter, RecolourPainter
from pipeline.settings import AnnotationSettings, FitSettings, SyncSettings
from pipeline.sync import Plan, plan_sync, training_photos

if TYPE_CHECKING:
    from pipeline.pise.fitting.fidelity import Fidelity

WALKERS_WEIGHTS = Path(__file__).parent / "pise" / "walkers.safetensors"
PEOPLE_WEIGHTS = WALKERS_WEIGHTS.with_name("people.safetensors")

_SIZES = {"walkers": (64, 32)}
_SIZE = (256, 128)
_PUBLISHED = "https://github.com/Zhangjinso/PISE#test"
# Settings that only a generator understands.
_GENERATORS = ("weights", "templates", "bank", "cut", "keep_person", "canvas", "precision")

_log = get_logger(__name__)


def make_plan(settings: SyncSettings, deep: bool = False) -> Plan:
    """Put a sync together; nothing is written.

    Args:
        settings: what is to be redrawn, and how.
        deep: read all photos, even those that look as they did at the last sync.

    Raises:
        InputError: something chosen is not there, cannot be used, or does not go with the rest.
    """
    dataset = settings.dataset or _last_dataset()
    # Workers of a cluster may stand in another folder.
    benchmark = data.open_benchmark(dataset, dataset_root(dataset, settings.data_root).absolute())
    # Said here, a lack of photos is complained about before models are fetched, and unusable weights before all photos
    # are read.
    _ = training_photos(benchmark)
    painter = _painter(settings, benchmark)
    _ = painter.recipe
    return plan_sync(benchmark, painter, STORES, deep)


def _painter(settings: SyncSettings, benchmark: Benchmark) -> Painter:
    """Make the painter that was chosen: by default the generator where there are weights for it, else recolouring."""
    device, dataset, root = find_device(settings.device), benchmark.name, benchmark.root
    recoloured = settings.versions // 2 if settings.painter == "mixed" else 0
    if settings.painter == "mixed" and not recoloured:
        raise InputError("--painter mixed makes at least two versions: give S=2 or more, or choose one painter")
    painted = settings.versions - recoloured
    choice = TemplateChoice(settings.bank or painted, settings.templates, settings.seed, as_seen=dataset != "walkers")
    unannotated = choice.photos if choice.folder and not (choice.folder / FOLDER).is_dir() else []
    annotator = make_annotator(settings.annotations, dataset, root, device, paths_of(benchmark.train), unannotated)
    size, regions = settings.size or _SIZES.get(dataset, _SIZE), _regions(settings.regions)
    weights = settings.weights or (WALKERS_WEIGHTS if dataset == "walkers" else None)
    if settings.painter == "recolour" or (settings.painter is None and weights is None):
        _refuse_generators_options(settings)
        if settings.painter is None:
            _log.info(
                "no WEIGHTS are given: garments get each other's colours; a small generator is built in (--painter "
                "pise), the published one's are at %s",
                _PUBLISHED,
            )
        return RecolourPainter(root, annotator, settings.versions, size, regions, settings.seed)
    pise = PisePainter(
        (weights or PEOPLE_WEIGHTS).absolute(),
        root,
        annotator,
        choice,
        versions=painted,
        size=size,
        canvas=Canvas(*settings.canvas, settings.padding) if settings.canvas else None,
        regions=regions,
        keep=settings.keep_person,
        precision=settings.precision,
        device=device,
        cut=settings.cut,
    )
    if recoloured:
        return MixedPainter(pise, RecolourPainter(root, annotator, recoloured, size, regions, settings.seed))
    return IdealPainter(pise) if settings.painter == "ideal" else pise


def fit_generator(settings: FitSettings, jobs: int = 1) -> tuple[Path, Fidelity | None]:
    """Fit a generator to people in exact pairs, rendered if the data set is walkers, else to a data set's own photos.

    Args:
        settings: what to fit to, and how.
        jobs: processes that render.

    Returns:
        The file of the weights, in a folder below `work/pise/`; for exact pairs, how well other people are painted.

    Raises:
        InputError: something chosen is not there, cannot be used, or does not go with the rest.
        RunError: the loss is not finite, or the folder holds another fit.
        Interrupted: it was; the same call goes on.
    """
    # A sync needs neither this nor torchvision.
    from pipeline.pise.fitting.fit import fit_people, fit_photos, fit_scenes
    from pipeline.pise.fitting.settings import PeopleSettings, PhotoSettings, PiseSettings, adjust

    folder, device = GENERATORS / settings.dataset, find_device(settings.device)
    given = {name: getattr(settings, name) for name in ("scenes", "size", "channels", "steps", "batch", "seed")}
    if settings.dataset == "walkers":
        if settings.data_root or settings.vgg_weights or settings.same_clothes or settings.annotations.chosen:
            raise InputError("walkers are rendered with exact targets: leave --data-root and the options of photos out")
        return fit_scenes(adjust(PiseSettings(), **given), folder, torch.device(device), jobs)
    if settings.dataset == "people":
        if settings.data_root is None or settings.vgg_weights or settings.same_clothes or settings.annotations.chosen:
            raise InputError("people have exact targets: give --data-root, which holds pairs/, no options of photos")
        people, pairs = adjust(PeopleSettings(), **given), settings.data_root / "pairs"
        return fit_people(pairs, people, folder, torch.device(device), WALKERS_WEIGHTS)
    benchmark = data.open_benchmark(settings.dataset, dataset_root(settings.dataset, settings.data_root))
    photos = adjust(PhotoSettings(same_clothes=settings.same_clothes), **given)
    paths = paths_of(benchmark.train)
    annotator = make_annotator(settings.annotations, settings.dataset, benchmark.root, device, paths)
    return fit_photos(benchmark, annotator, photos, folder, torch.device(device), settings.vgg_weights), None


def make_annotator(
    settings: AnnotationSettings, dataset: str, root: Path, device: str, *photos: Sequence[Path]
) -> Annotator:
    """Choose the annotator of photos of a data set whose folder is `root`; it raises what `choose_annotator` does."""
    return choose_annotator(
        root,
        (ANNOTATIONS / dataset).absolute(),
        parsing=settings.parsing and settings.parsing.absolute(),
        keypoints=settings.keypoints and settings.keypoints.absolute(),
        labels=settings.labels,
        parsing_model=settings.parsing_model,
        pose_model=settings.pose_model,
        device=device,
        names=lambda: list(dict.fromkeys(name_below(photo, root) for photo in chain.from_iterable(photos))),
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


def _refuse_generators_options(settings: SyncSettings) -> None:
    """Refuse what only a generator can do, where none is at work."""
    default = SyncSettings()
    given = [name for name in _GENERATORS if getattr(settings, name) != getattr(default, name)]
    if given:
        options = ", ".join("--" + name.replace("_", "-") for name in given)
        raise InputError(
            f"recolouring has no generator for {options}: leave that out, or give WEIGHTS to --painter pise"
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
