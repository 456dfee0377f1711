"""A painter that paints nothing: what is left of a sync is reading, digesting and writing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data.photo import Photo
from pipeline.paint.painter import Redrawn


@dataclass
class NullPainter:
    """A painter whose versions are black."""

    versions: int
    size: tuple[int, int]
    device: str = "cpu"
    origin: str = "nowhere"

    @property
    def recipe(self) -> Mapping[str, Any]:
        """Nothing decides its pixels."""
        return {"painter": "null"}

    def prepare(self, folder: Path, photos: Sequence[Path]) -> None:
        """Nothing needs to be found out."""

    def sketch(self, photos: Sequence[Photo]) -> int:
        """Count the photos."""
        return len(photos)

    def paint(self, sketch: int) -> Redrawn:
        """Give black pictures."""
        return Redrawn(
            images=np.zeros((sketch, self.versions, *self.size, 3), np.uint8),
            found=np.ones(sketch, np.bool_),
            templates=np.zeros((sketch, self.versions), np.int32),
            clothing=np.zeros((sketch, *self.size), np.bool_),
            agreement=np.full(sketch, np.nan, np.float32),
            unannotated={},
        )
