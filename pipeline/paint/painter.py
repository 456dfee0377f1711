"""What a painter is: whatever redraws photos in other clothes, and what it gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from data.photo import Photo


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

    def sketch(self, photos: Sequence[Photo]) -> Any:
        """All that can be done for a batch of photos of any sizes before it is painted.

        The next batch is sketched while one is painted, in another thread.
        """

    def paint(self, sketch: Any) -> Redrawn:
        """Redraw the batch."""
