"""The painter that has a PISE generator."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from data.annotation import CLOTHING_REGIONS, Annotation, Region
from data.photo import Photo
from data.runtime.errors import InputError
from pipeline.annotate.annotator import Annotator
from pipeline.annotate.people import find_people
from pipeline.dress import Dresser
from pipeline.framing import PERSON, Box, Canvas, crop, crop_labels, exposure, resize
from pipeline.loaded import PROCESS
from pipeline.outfits import templates
from pipeline.outfits.choice import TemplateChoice, choose
from pipeline.outfits.shape import Shape, reshape_each
from pipeline.paint.composite import keep_person
from pipeline.paint.cutout import cut_out
from pipeline.paint.mask import person_mask
from pipeline.paint.painter import Redrawn, digest_inputs
from pipeline.pise import TEXTURE_TRANSFER, Generator, Style, load_generator
from pipeline.settings import CUTS
from pipeline.tensors import to_pictures, to_pixels, to_poses, to_regions

PUBLISHED_CHANNELS = 64
PUBLISHED_CANVAS = Canvas(256, 256, "edge")

# Of the way in which clothes keep the photo's own shape: since the second one, the shoes of a template in a skirt or a
# dress do not colour trousers.
_VERSION = 2

# Of `cut_out`: since the second one, what is in a hand does not pass for skin.
_CUT_OUT = 2

# Pixels of the canvas, over all pictures, that are painted at once.
_PIXELS_AT_ONCE = {"cpu": 2**20, "cuda": 2**23}


@dataclass(frozen=True)
class Sitter:
    """A person on the canvas, to be painted in S versions.

    `image` (height, width, 3) and `annotation` are as the canvas shows them, `box` is the photo's place there.
    `targets`: uint8 (S, height, width), the parsings to paint into, None for the person's own. `clothing`: bool
    (S, H, W), where the photo or the version has clothes, `shown`: bool (S, H, W), where the painting may be seen if
    the person is kept, `parsing`: uint8 (H, W), the photo's regions, and `masks`: uint8 (M, H, W), how much of a
    pixel is the person, are in the store's size. `exposure`: how much brighter the
    canvas shows the photo.
    """

    image: npt.NDArray[np.uint8]
    annotation: Annotation
    box: Box
    targets: npt.NDArray[np.uint8] | None
    clothing: npt.NDArray[np.bool_]
    shown: npt.NDArray[np.bool_]
    parsing: npt.NDArray[np.uint8]
    masks: npt.NDArray[np.uint8]
    exposure: float


@dataclass(frozen=True)
class Sketch:
    """B photos before PISE paints them, and the people in them, by the photo's number.

    `originals`: uint8 (B, H, W, 3), in the store's size. `dealt`: int32 (B, S), which template each version wears.
    `agreement` and `unannotated` are those of `Redrawn`.
    """

    originals: npt.NDArray[np.uint8]
    dealt: npt.NDArray[np.int32]
    sitters: Mapping[int, Sitter]
    agreement: npt.NDArray[np.float32]
    unannotated: Mapping[int, str]


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
        keep: keep face, hair, skin and background as the photo's own pixels; with a generator of people cut out of
            their photos they always are.
        precision: "float32" or "bfloat16".
        device: where the generator runs.
        cut: whose shape the clothes have, the "photo"'s own or the "template"'s; None for what the weights are for.

    Raises:
        InputError: an unknown `cut`, or fewer templates than versions.
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
        self.precision, self.device = precision, device
        self._keep, self._canvas, self._cut = keep, canvas, cut
        self.folder: Path | None = None

    @property
    def generator(self) -> Generator:
        """The generator, loaded once a process. Raises InputError if clothes cannot be painted with it."""
        generator = _generator(self.weights, self.device)
        if generator.kind != TEXTURE_TRANSFER:
            raise InputError(
                f"{self.weights}: weights of the {generator.kind} kind: clothes need the {TEXTURE_TRANSFER} ones"
            )
        return generator

    @functools.cached_property
    def canvas(self) -> Canvas:
        """What the generator paints on. Raises InputError for a size that it cannot paint."""
        canvas = self._canvas or _own_canvas(self.generator, self.size)
        return Canvas(canvas.height, canvas.width, PERSON) if self.generator.backdrop else canvas

    @functools.cached_property
    def keep(self) -> bool:
        """Whether all but the clothes stays the photo's own pixels."""
        return self._keep or self.generator.backdrop

    @functools.cached_property
    def cut(self) -> str:
        """Whose shape the clothes have: "photo" or "template"."""
        return self._cut or ("template" if self.generator.reshapes else "photo")

    @functools.cached_property
    def recipe(self) -> Mapping[str, Any]:
        """All that decides a pixel; to say it, the generator is loaded.

        Raises:
            InputError: unusable weights, or a size that they cannot paint.
        """
        _ = self.generator
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
            **({} if self.cut == "template" else {"version": _VERSION}),
            **({"composite": 2} if self.keep else {}),
            **({"cut_out": _CUT_OUT} if self.generator.backdrop else {}),
        }

    @property
    def origin(self) -> str:
        """The annotator's."""
        return self.annotator.origin

    def prepare(self, folder: Path, photos: Sequence[Path]) -> None:
        """Choose the templates, unless an earlier run did, and save them with their sheet in the folder."""
        if not (folder / templates.FILE).is_file():
            chosen = choose(self.choice, photos, self.root, self.annotator, self.generator, self.canvas, self.size)
            templates.save(folder, chosen)
        self.folder = folder

    def inputs(self, names: Sequence[str]) -> str:
        """Digest the recipe, the templates, and what the annotator has for these photos."""
        return digest_inputs(self.recipe, self._prepared / templates.FILE, self.annotator, names)

    def sketch(self, photos: Sequence[Photo]) -> Sketch:
        """Deal out templates, find the people, and lay them on the canvas with the parsings to paint into."""
        dealt = self.deal(photos)
        people = find_people(self.annotator, photos)
        sitters = {
            row: self._sit(photos[row].pixels, annotation, dealt[row]) for row, annotation in people.annotations.items()
        }
        originals = np.stack([resize(photo.pixels, self.size) for photo in photos])
        return Sketch(originals, dealt, sitters, people.agreement, people.reasons)

    def paint(self, sketch: Sketch) -> Redrawn:
        """Paint the people in their templates' clothes, as many at once as memory is meant to hold."""
        count, rows = len(sketch.originals), list(sketch.sitters)
        images = np.zeros((count, self.versions, *self.size, 3), np.uint8)
        clothing = np.zeros((count, self.versions, *self.size), np.bool_)
        outlines = 1 if self.cut == "photo" else 1 + self.versions
        masks = np.zeros((count, outlines, *self.size), np.uint8)
        at_once = _PIXELS_AT_ONCE[torch.device(self.device).type] // (self.canvas.height * self.canvas.width)
        step = max(1, at_once // self.versions)
        for some in (rows[start : start + step] for start in range(0, len(rows), step)):
            sitters = [sketch.sitters[row] for row in some]
            images[some] = self._paint(sitters, sketch.dealt[some])
            clothing[some] = [sitter.clothing for sitter in sitters]
            masks[some] = [sitter.masks for sitter in sitters]
        if self.keep:
            parsings = np.zeros(sketch.originals.shape[:3], np.uint8)
            parsings[rows] = [sketch.sitters[row].parsing for row in rows]
            shown = np.zeros_like(clothing)
            shown[rows] = [sketch.sitters[row].shown for row in rows]
            worn = np.isin(parsings, self.regions)
            images = keep_person(sketch.originals, images, shown, parsings, worn, lit=self.generator.backdrop)
        found = np.isin(np.arange(count), rows)
        worn_anywhere = np.asarray(clothing.any(1))
        return Redrawn(images, found, sketch.dealt, worn_anywhere, sketch.agreement, sketch.unannotated, masks)

    def deal(self, photos: Sequence[Photo]) -> npt.NDArray[np.int32]:
        """Which template each version of each photo wears, (B, S)."""
        count, seed = self.choice.count, self.choice.seed
        return np.stack([templates.deal(count, self.versions, seed, photo.name) for photo in photos])

    def _sit(self, image: npt.NDArray[np.uint8], annotation: Annotation, dealt: npt.NDArray[np.int32]) -> Sitter:
        """Lay a photo with a person on the canvas, and give its clothes the shapes of templates `dealt` (S,)."""
        placed, annotated, box = self.canvas.fit(image, annotation)
        parsing = annotation.resize(*self.size).parsing
        clothing = np.isin(parsing, self.regions)[None].repeat(self.versions, 0)
        light = exposure(image) if self.generator.backdrop else 1.0
        if self.cut == "photo":
            return Sitter(placed, annotated, box, None, clothing, clothing, parsing, person_mask(parsing[None]), light)
        shapes = _shapes(self._prepared, self.regions)
        targets = reshape_each(annotated, [shapes[index] for index in dealt])
        stored = crop_labels(targets, box, self.size)
        clothing |= np.isin(stored, self.regions)
        shown = clothing & (stored != Region.BACKGROUND) if self.generator.backdrop else clothing
        masks = person_mask(np.concatenate([parsing[None], stored]))
        return Sitter(placed, annotated, box, targets, clothing, shown, parsing, masks, light)

    @torch.inference_mode()
    def _paint(self, sitters: Sequence[Sitter], dealt: npt.NDArray[np.int32]) -> npt.NDArray[np.uint8]:
        """Paint P people in the templates `dealt` (P, S): uint8 (P, S, H, W, 3) in the store's size."""
        shod = self.cut == "template"
        dresser = _dresser(self.weights, self.device, self._prepared, self.regions, self.precision, shod)
        device = dresser.templates[0].device
        worn = torch.from_numpy(dealt).long().to(device)
        codes, present = dresser.templates
        joints = np.stack([sitter.annotation.joints for sitter in sitters])
        targets = [sitter.targets for sitter in sitters if sitter.targets is not None]
        painted = dresser.dress(
            to_pictures(np.stack([sitter.image for sitter in sitters]), device),
            to_poses(joints, self.canvas.height, self.canvas.width, device),
            to_regions(np.stack([sitter.annotation.parsing for sitter in sitters]), device),
            Style(codes[worn], present[worn]),
            to_regions(np.stack(targets), device) if targets else None,
        )
        pairs = list(zip(painted, sitters, strict=True))
        if self.generator.backdrop:
            pairs = [(_cut_out(versions, sitter), sitter) for versions, sitter in pairs]
        cropped = torch.stack([crop(versions, sitter.box, self.size) for versions, sitter in pairs])
        exposures = torch.tensor([sitter.exposure for sitter in sitters], device=device).view(-1, 1, 1, 1, 1)
        return to_pixels((cropped + 1) / exposures - 1)

    @property
    def _prepared(self) -> Path:
        """The sync's folder, where the templates are."""
        if self.folder is None:
            raise RuntimeError("prepare() comes first")
        return self.folder


def _cut_out(painted: torch.Tensor, sitter: Sitter) -> torch.Tensor:
    """Paintings (S, 3, H, W) of a person before a backdrop as `cut_out` leaves them."""
    own = sitter.annotation.parsing
    targets = own[None].repeat(len(painted), 0) if sitter.targets is None else sitter.targets
    people = cut_out(painted.permute(0, 2, 3, 1).cpu().numpy(), targets, sitter.image, own)
    return torch.from_numpy(people).permute(0, 3, 1, 2).to(painted.device)


def _own_canvas(generator: Generator, size: tuple[int, int]) -> Canvas:
    if generator.size:
        return Canvas(*generator.size)
    return PUBLISHED_CANVAS if generator.channels == PUBLISHED_CHANNELS else Canvas(*size)


def _generator(weights: Path, device: str) -> Generator:
    return PROCESS.get("generator", (weights, device), lambda: load_generator(weights, device))


def _shapes(folder: Path, regions: tuple[int, ...]) -> list[Shape]:
    def load() -> list[Shape]:
        return [shape.only(regions) for shape in templates.load(folder).shapes]

    return PROCESS.get("shapes", (folder, regions), load)


def _dresser(weights: Path, device: str, folder: Path, regions: tuple[int, ...], precision: str, shod: bool) -> Dresser:
    def load() -> Dresser:
        chosen = templates.load(folder)
        worn = chosen.present if shod else chosen.without_shoes()
        codes, present = (torch.from_numpy(part).to(device) for part in (chosen.codes, worn))
        return Dresser(_generator(weights, device), Style(codes, present), regions, getattr(torch, precision))

    return PROCESS.get("dresser", (weights, device, folder, regions, precision, shod), load)
