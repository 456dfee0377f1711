"""What a painter is: whatever redraws photos in other clothes, and what it gives."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from data.photo import Photo
from data.runtime.walk import digest_file
from pipeline.annotate.annotator import Annotator, digest_of


@dataclass(frozen=True)
class Redrawn:
    """What a painter made of B photos, in the size of the store.

    `images`: uint8 (B, S, H, W, 3). `found`: bool (B,), False where no person was found and `images` mean nothing.
    `templates`: int32 (B, S), which template each version wears. `clothing`: bool (B, H, W), where the photo has
    clothes or one of its versions has; only used to measure what changed. `agreement`: float32 (B,), how well pose and
    parsing agree, NaN where nothing is known of it. `unannotated`: why photos have no annotation that can be used, by
    the photo's number; these are not found either. `masks`: uint8 (B, M, H, W), how much of a pixel is the person,
    M = 1 if the versions keep the photo's outline, else 1+S; None where that is not known of any.
    """

    images: npt.NDArray[np.uint8]
    found: npt.NDArray[np.bool_]
    templates: npt.NDArray[np.int32]
    clothing: npt.NDArray[np.bool_]
    agreement: npt.NDArray[np.float32]
    unannotated: Mapping[int, str]
    masks: npt.NDArray[np.uint8] | None = None


@runtime_checkable
class Retraceable(Protocol):
    """A painter that can say what decides the pixels of some photos alone, so that others' changes do not undo them."""

    def inputs(self, names: Sequence[str]) -> str:
        """Digest of all that decides the pixels of the photos of these names, besides the photos; after `prepare`."""


@runtime_checkable
class Annotated(Protocol):
    """A painter that goes by pose and parsing."""

    @property
    def annotator(self) -> Annotator:
        """Gives photos their pose and parsing."""


def digest_inputs(recipe: Mapping[str, Any], kept: Path, annotator: Annotator, names: Sequence[str]) -> str:
    """Digest a recipe, its annotator narrowed down to some photos, and what `prepare` found out.

    Args:
        recipe: the painter's.
        kept: the file that `prepare` left.
        annotator: the one of which the recipe tells the digest, as "annotator".
        names: of the photos.
    """
    of_each = [digest_of(annotator, name) for name in names]
    decisive = {**recipe, "annotator": of_each, "prepared": digest_file(kept)}
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


class Painter(Protocol):
    """Redraws photos in S versions. Can be pickled; heavy parts are loaded in the process that first needs them."""

    versions: int
    size: tuple[int, int]
    device: str

    @property
    def recipe(self) -> Mapping[str, Any]:
        """All that decides a pixel, besides the photos and the size, as JSON; cheap, and the same on any machine."""

    @property
    def origin(self) -> str:
        """Where pose and parsing come from, in words."""

    def prepare(self, folder: Path, photos: Sequence[Path]) -> None:
        """Called once, before any photo is redrawn; what it finds out from all photos stays in the sync's folder."""

    def sketch(self, photos: Sequence[Photo]) -> Any:
        """All that can be done for a batch of photos of any sizes before it is painted.

        The next batch is sketched while one is painted, in another thread.
        """

    def paint(self, sketch: Any) -> Redrawn:
        """Redraw the batch."""
