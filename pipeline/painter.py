"""Painters: what redraws photos in other clothes."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from data.annotation import CLOTHING_REGIONS, Annotation, parsing_maps, pose_maps
from data.errors import InputError
from pipeline import templates
from pipeline.annotate import Annotator, Photo
from pipeline.canvas import Box, Canvas, cut, resize
from pipeline.composite import keep_person
from pipeline.cut import Cut, only, recut_each
from pipeline.dress import Dresser
from pipeline.pise import TEXTURE_TRANSFER, Generator, load_generator
from pipeline.templates import TemplateChoice

CUTS = ("photo", "template")
PRECISIONS = ("float32", "bfloat16")
"""What to paint in, as torch calls it."""

PUBLISHED_WIDTH = 64
PUBLISHED_CANVAS = Canvas(256, 256, "edge")

_PIXELS_AT_ONCE = {"cpu": 2**20, "cuda": 2**23}


@dataclass(frozen=True)
class Redrawn:
    """What a painter made of B photos, in the size of the store.

    `images`: uint8 (B, S, H, W, 3). `found`: bool (B,), False where no person was found and `images` mean nothing.
    `templates`: int32 (B, S), which template each version wears. `clothing`: bool (B, H, W), where the photo has
    clothes or one of its versions has; only used to measure what changed.
    """

    images: npt.NDArray[np.uint8]
    found: npt.NDArray[np.bool_]
    templates: npt.NDArray[np.int32]
    clothing: npt.NDArray[np.bool_]


class Painter(Protocol):
    """Redraws photos in S versions. Can be pickled; heavy parts are loaded in the process that first needs them."""

    versions: int
    size: tuple[int, int]
    device: str

    @property
    def recipe(self) -> Mapping[str, Any]:
        """All that decides a pixel, besides the photos and the size, as JSON; cheap, and the same on any machine."""

    def prepare(self, folder: Path, photos: Sequence[Path]) -> None:
        """Called once, before any photo is redrawn; what it finds out from all photos stays in the sync's folder."""

    def __call__(self, photos: Sequence[Photo]) -> Redrawn:
        """Redraw a batch of photos of any sizes."""


class PisePainter:
    """Redraws photos with a PISE generator in the clothes of templates.

    Args:
        weights: the generator's checkpoint.
        root: the data set's folder; a photo's templates are drawn by its path in there.
        annotator: gives photos their pose and parsing.
        choice: which templates; with more than `versions`, each photo has its own drawn from them.
        versions: S.
        size: (height, width) of the store.
        canvas: what the generator paints on; None for the one its weights were made for: what its checkpoint says, or
            256x256 with edge padding for the published width of 64, or the store's size.
        regions: labels of the regions to exchange.
        keep: keep face, hair, skin and background as the photo's own pixels.
        precision: "float32" or "bfloat16".
        device: where the generator runs.
        cut: whose shape the clothes have, the "photo"'s own or the "template"'s; None for what the weights are for.

    Raises:
        InputError: unusable weights, a size that they cannot paint, an unknown cut, or fewer templates than versions.
    """

    def __init__(
        self,
        weights: Path,
        root: Path,
        annotator: Annotator,
        choice: TemplateChoice,
        versions: int = 4,
        size: tuple[int, int] = (256, 128),
        canvas: Canvas | None = None,
        regions: Sequence[int] = CLOTHING_REGIONS,
        keep: bool = False,
        precision: str = "float32",
        device: str = "cpu",
        cut: str | None = None,
    ) -> None:
        if cut not in (None, *CUTS):
            raise InputError(f"cut {cut!r} is unknown: choose {' or '.join(CUTS)}")
        if choice.count < versions:
            raise InputError(f"{choice.count} templates are too few for S={versions}: take a larger bank")
        self.weights, self.root, self.annotator, self.choice = weights, root, annotator, choice
        self.versions, self.size, self.regions = versions, size, tuple(regions)
        self.keep, self.precision, self.device = keep, precision, device
        generator = _generator(weights, device)
        if generator.kind != TEXTURE_TRANSFER:
            raise InputError(
                f"{weights}: weights of the {generator.kind} kind: clothes need the {TEXTURE_TRANSFER} ones"
            )
        self.canvas = canvas or _own_canvas(generator, size)
        self.cut = cut or ("template" if generator.recuts else "photo")
        self.folder: Path | None = None

    @functools.cached_property
    def recipe(self) -> Mapping[str, Any]:
        """See `Painter`."""
        return {
            "painter": "pise",
            "weights": hashlib.sha256(self.weights.read_bytes()).hexdigest(),
            "annotator": self.annotator.digest,
            "templates": self.choice.recipe,
            "regions": self.regions,
            "canvas": [self.canvas.height, self.canvas.width, self.canvas.padding],
            "keep_person": self.keep,
            "precision": self.precision,
            "cut": self.cut,
            **({} if self.cut == "template" else {"shoes": "kept"}),
        }

    def prepare(self, folder: Path, photos: Sequence[Path]) -> None:
        """Choose the templates, unless an earlier run did, and save them with their sheet in the folder."""
        if not (folder / templates.FILE).is_file():
            generator = _generator(self.weights, self.device)
            chosen = templates.choose(self.choice, photos, self.annotator, generator, self.canvas, self.size)
            templates.save(folder, chosen)
        self.folder = folder

    def __call__(self, photos: Sequence[Photo]) -> Redrawn:
        """See `Painter`."""
        annotations = self.annotator(photos)
        dealt = self.deal(photos)
        images = np.zeros((len(photos), self.versions, *self.size, 3), np.uint8)
        clothing = np.zeros((len(photos), self.versions, *self.size), np.bool_)
        people = [
            (row, image, annotation)
            for row, ((_, image), annotation) in enumerate(zip(photos, annotations, strict=True))
            if annotation is not None
        ]
        at_once = _PIXELS_AT_ONCE[torch.device(self.device).type] // (self.canvas.height * self.canvas.width)
        step = max(1, at_once // self.versions)
        for start in range(0, len(people), step):
            batch = people[start : start + step]
            rows = [row for row, _, _ in batch]
            images[rows], parsings = self._paint([(image, annotation) for _, image, annotation in batch], dealt[rows])
            own = np.stack([annotation.resize(*self.size).parsing for _, _, annotation in batch])
            clothing[rows] = np.isin(own, self.regions)[:, None]
            if parsings is not None:
                clothing[rows] |= np.isin(parsings, self.regions)
        if self.keep:
            originals = np.stack([resize(image, self.size) for _, image in photos])
            for version in range(self.versions):
                images[:, [version]] = keep_person(originals, images[:, [version]], clothing[:, version])
        found = np.array([annotation is not None for annotation in annotations])
        return Redrawn(images, found, dealt, np.asarray(clothing.any(1)))

    def deal(self, photos: Sequence[Photo]) -> npt.NDArray[np.int32]:
        """Which template each version of each photo wears, (B, S)."""
        sources = [Path(os.path.relpath(path, self.root)).as_posix() for path, _ in photos]
        return np.stack([templates.deal(self.choice.count, self.versions, self.choice.seed, name) for name in sources])

    @torch.inference_mode()
    def _paint(
        self, people: Sequence[tuple[npt.NDArray[np.uint8], Annotation]], dealt: npt.NDArray[np.int32]
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8] | None]:
        """Redraw photos with a person in the templates `dealt` (B, S).

        Returns uint8 (B, S, H, W, 3) in the store's size and, where the cut is the template's, the new parsings
        (B, S, H, W).
        """
        if self.folder is None:
            raise RuntimeError("prepare() comes first")
        shod = self.cut == "template"
        dresser = _dresser(self.weights, self.device, self.folder, self.regions, self.precision, shod)
        device = dresser.templates[0].device
        images, annotations, boxes = zip(*(self.canvas.fit(*person) for person in people), strict=True)
        height, width = self.canvas.height, self.canvas.width
        pose = pose_maps(np.stack([annotation.joints for annotation in annotations]), height, width)
        parsing = parsing_maps(np.stack([annotation.parsing for annotation in annotations]))
        worn = torch.from_numpy(dealt).long().to(device)
        codes, present = dresser.templates
        target = self._recut(annotations, dealt) if self.cut == "template" else None
        painted = dresser.dress(
            templates.as_tensor(np.stack(images), device),
            torch.from_numpy(pose).to(device),
            torch.from_numpy(parsing).to(device),
            (codes[worn], present[worn]),
            None if target is None else torch.from_numpy(_maps(target)).to(device),
        )
        cuts = torch.stack([cut(versions, box, self.size) for versions, box in zip(painted, boxes, strict=True)])
        pixels = cuts.add(1).mul(127.5).round().clamp(0, 255).byte()
        parsings = None
        if target is not None:
            parsings = np.stack(
                [_in_store(versions, box, self.size) for versions, box in zip(target, boxes, strict=True)]
            )
        return pixels.permute(0, 1, 3, 4, 2).cpu().numpy(), parsings

    def _recut(self, annotations: Sequence[Annotation], dealt: npt.NDArray[np.int32]) -> npt.NDArray[np.uint8]:
        """The parsings (B, S, H, W) of photos on their canvas, with the cut of the templates `dealt` (B, S)."""
        assert self.folder is not None
        cuts = _cuts(self.folder, self.regions)
        pairs = zip(annotations, dealt, strict=True)
        return np.stack([recut_each(annotation, [cuts[index] for index in worn]) for annotation, worn in pairs])


def _maps(parsings: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """One-hot maps (B, S, 8, H, W) of parsings (B, S, H, W)."""
    maps = parsing_maps(parsings.reshape(-1, *parsings.shape[2:]))
    return maps.reshape(*parsings.shape[:2], *maps.shape[1:])


def _in_store(parsings: npt.NDArray[np.uint8], box: Box, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """The photo's box of parsings (S, H, W) on a canvas, resized to `size`."""
    top, left, bottom, right = box
    inside = [Image.fromarray(parsing[top:bottom, left:right]) for parsing in parsings]
    return np.stack([np.asarray(picture.resize(size[::-1], Image.Resampling.NEAREST)) for picture in inside])


def _own_canvas(generator: Generator, size: tuple[int, int]) -> Canvas:
    if generator.size:
        return Canvas(*generator.size)
    return PUBLISHED_CANVAS if generator.width == PUBLISHED_WIDTH else Canvas(*size)


# Loaded once a process, whatever the number of painters that were sent there.
@functools.lru_cache(maxsize=1)
def _generator(weights: Path, device: str) -> Generator:
    return load_generator(weights, device)


@functools.lru_cache(maxsize=1)
def _cuts(folder: Path, regions: tuple[int, ...]) -> list[Cut]:
    return [only(cut, regions) for cut in templates.load(folder).cuts]


@functools.lru_cache(maxsize=1)
def _dresser(weights: Path, device: str, folder: Path, regions: tuple[int, ...], precision: str, shod: bool) -> Dresser:
    chosen = templates.load(folder)
    worn = chosen.present if shod else templates.without_shoes(chosen)
    codes, present = (torch.from_numpy(part).to(device) for part in (chosen.codes, worn))
    return Dresser(_generator(weights, device), (codes, present), regions, getattr(torch, precision))
