"""The ideal painter: walkers rendered again in other clothes, the measure of what a generator could be worth."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from data.annotation import CLOTHING_REGIONS
from data.photo import Photo
from data.walkers.dataset import photo_at, read_recipe, scene
from data.walkers.render import render
from pipeline.annotate.annotator import Annotator
from pipeline.framing import resize
from pipeline.outfits import templates
from pipeline.paint.mask import person_mask
from pipeline.paint.painter import Redrawn
from pipeline.paint.pise import PisePainter


class IdealPainter:
    """Redraws walkers without a flaw, in the very outfits that `painter` would dress them in.

    Only for walkers, whose people, shots and outfits are known. Raises InputError for any other data set.
    """

    def __init__(self, painter: PisePainter) -> None:
        self.painter = painter
        self.walkers = read_recipe(painter.root)
        self.versions, self.size, self.device = painter.versions, painter.size, "cpu"

    @cached_property
    def recipe(self) -> Mapping[str, Any]:
        """The generator painter's recipe, which decides the templates, and the walkers'."""
        return {**self.painter.recipe, "painter": "ideal", "walkers": asdict(self.walkers)}

    @property
    def origin(self) -> str:
        """The other painter's."""
        return self.painter.origin

    @property
    def annotator(self) -> Annotator:
        """The other painter's."""
        return self.painter.annotator

    def prepare(self, folder: Path, photos: Sequence[Path]) -> None:
        """Choose the templates as the generator's painter does."""
        self.painter.prepare(folder, photos)

    def inputs(self, names: Sequence[str]) -> str:
        """Digest the walkers' recipe beside all that the generator's painter goes by."""
        return hashlib.sha256(f"{self.painter.inputs(names)} {asdict(self.walkers)}".encode()).hexdigest()

    def sketch(self, photos: Sequence[Photo]) -> Sequence[Photo]:
        """Pass the photos on: rendering is all that is to be done."""
        return photos

    def paint(self, sketch: Sequence[Photo]) -> Redrawn:
        """Render each scene again, once in each outfit that its photo was dealt."""
        if self.painter.folder is None:
            raise RuntimeError("prepare() comes first")
        root = self.painter.root.resolve()
        chosen = [Path(photo).resolve() for photo in templates.load(self.painter.folder).photos]
        outfits = [scene(self.walkers, photo_at(photo.relative_to(root)))[1] for photo in chosen]
        dealt = self.painter.deal(sketch)
        images = np.empty((len(sketch), self.versions, *self.size, 3), np.uint8)
        clothing = np.zeros((len(sketch), *self.size), np.bool_)
        masks = np.empty((len(sketch), 1 + self.versions, *self.size), np.uint8)
        for row, photo in enumerate(sketch):
            identity, worn, shot = scene(self.walkers, photo_at(Path(photo.name)))
            tall, wide = self.walkers.height, self.walkers.width
            own = render(identity, worn, shot, tall, wide)[1].resize(*self.size)
            clothing[row] = np.isin(own.parsing, CLOTHING_REGIONS)
            masks[row, 0] = person_mask(own.parsing)
            for version, template in enumerate(dealt[row]):
                pixels, seen = render(identity, outfits[template], shot, tall, wide)
                images[row, version] = resize(pixels, self.size)
                masks[row, 1 + version] = person_mask(seen.resize(*self.size).parsing)
        unknown = np.full(len(sketch), np.nan, np.float32)
        return Redrawn(images, np.ones(len(sketch), np.bool_), dealt, clothing, unknown, {}, masks)
