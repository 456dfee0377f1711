"""The mixed painter: some versions of each photo by one painter, the others by another."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data.photo import Photo
from pipeline.annotate.annotator import Annotator
from pipeline.paint.painter import Redrawn
from pipeline.paint.pise import PisePainter
from pipeline.paint.recolour import RecolourPainter


class MixedPainter:
    """Redraws the first versions of each photo by a generator and recolours the photo for the others; a `Painter`.

    Both go by one annotator. In `Redrawn.templates` the photos that give colours are numbered on from the generator's
    templates.

    Args:
        generator: makes the first versions.
        recolour: makes the rest, in the same size.
    """

    def __init__(self, generator: PisePainter, recolour: RecolourPainter) -> None:
        self.generator, self.recolour = generator, recolour
        self.versions = generator.versions + recolour.versions
        self.size, self.device = generator.size, generator.device

    @cached_property
    def recipe(self) -> Mapping[str, Any]:
        """Both painters' recipes, and how many versions each makes."""
        shares = [self.generator.versions, self.recolour.versions]
        return {"painter": "mixed", "versions": shares, "of": [self.generator.recipe, self.recolour.recipe]}

    @property
    def annotator(self) -> Annotator:
        """The generator's, which is the other painter's, too."""
        return self.generator.annotator

    @property
    def origin(self) -> str:
        """The annotator's."""
        return self.generator.origin

    def prepare(self, folder: Path, photos: Sequence[Path]) -> None:
        """Choose templates as well as colours."""
        self.generator.prepare(folder, photos)
        self.recolour.prepare(folder, photos)

    def inputs(self, names: Sequence[str]) -> str:
        """Digest all that both painters go by."""
        return hashlib.sha256(f"{self.generator.inputs(names)} {self.recolour.inputs(names)}".encode()).hexdigest()

    def sketch(self, photos: Sequence[Photo]) -> tuple[Any, Any]:
        """Let both painters sketch the photos."""
        return self.generator.sketch(photos), self.recolour.sketch(photos)

    def paint(self, sketch: tuple[Any, Any]) -> Redrawn:
        """Let each painter make its versions."""
        painted, recoloured = self.generator.paint(sketch[0]), self.recolour.paint(sketch[1])
        return Redrawn(
            images=np.concatenate([painted.images, recoloured.images], 1),
            found=painted.found & recoloured.found,
            templates=np.concatenate([painted.templates, recoloured.templates + self.generator.choice.count], 1),
            clothing=painted.clothing | recoloured.clothing,
            agreement=painted.agreement,
            unannotated=painted.unannotated,
            masks=self._outlines(painted.masks),
        )

    def _outlines(self, painted: npt.NDArray[np.uint8] | None) -> npt.NDArray[np.uint8] | None:
        """The generator's masks (B, M, H, W) and, if M is not 1, those of the recoloured versions: the photo's own."""
        if painted is None or painted.shape[1] == 1:
            return painted
        return np.concatenate([painted, painted[:, :1].repeat(self.recolour.versions, 1)], 1)
