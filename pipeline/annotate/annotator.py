"""Annotators: what gives each photo its pose and parsing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from data.annotation import (
    CLOTHING_REGIONS,
    FOLDER,
    Annotation,
    Joint,
    annotation_files,
    read_annotation,
    write_annotation,
)
from data.photo import Photo
from data.runtime.errors import InputError
from data.runtime.walk import digest_file, digest_files
from pipeline.annotate.lookup import Lookup

FEWEST_JOINTS = 4
"""A photo with fewer joints shows no usable person."""
LEAST_CLOTHING = 0.01
"""Nor does one whose clothes cover less than this share of the photo."""


@dataclass(frozen=True)
class NoAnnotation:
    """Why there is nothing to be known of a photo: what annotates it is missing or damaged."""

    reason: str


class Annotator(Protocol):
    """Gives photos their annotations, None where a photo shows no usable person. Can be pickled."""

    @property
    def origin(self) -> str:
        """Where pose and parsing come from, in words."""

    @property
    def digest(self) -> str:
        """What decides the annotations, as a hexadecimal digest."""

    def __call__(self, photos: Sequence[Photo]) -> Sequence[Annotation | NoAnnotation | None]:
        """Annotate a batch; each annotation has the size of its photo."""


class PoseSource(Protocol):
    """Gives photos their joints, float32 (18, 2) in pixels with NaN for a missing one, or None without a person."""

    @property
    def origin(self) -> str:
        """Where the joints come from, in words."""

    @property
    def digest(self) -> str:
        """What decides the joints, as a hexadecimal digest."""

    def __call__(self, photos: Sequence[Photo]) -> Sequence[npt.NDArray[np.float32] | NoAnnotation | None]:
        """Find the joints in a batch of photos."""


class ParsingSource(Protocol):
    """Gives photos their parsing, uint8 (H, W) of labels 0 to 7, or None without a person."""

    @property
    def origin(self) -> str:
        """Where the parsing comes from, in words."""

    @property
    def digest(self) -> str:
        """What decides the parsing, as a hexadecimal digest."""

    def __call__(self, photos: Sequence[Photo]) -> Sequence[npt.NDArray[np.uint8] | NoAnnotation | None]:
        """Parse a batch of photos."""


@runtime_checkable
class PerPhoto(Protocol):
    """An annotator or a source whose results for one photo do not depend on what it has for the others."""

    def digest_of(self, name: str) -> str:
        """Digest of what decides the result for the photo of this name."""


def digest_of(source: Annotator | PoseSource | ParsingSource, name: str) -> str:
    """Digest of what decides one photo's annotation: as `PerPhoto` knows it, else all that the source goes by."""
    return source.digest_of(name) if isinstance(source, PerPhoto) else source.digest


class PairedAnnotator:
    """Joints from one source, parsing from another: models, files, or one of each."""

    def __init__(self, pose: PoseSource, parsing: ParsingSource) -> None:
        self.pose = pose
        self.parsing = parsing

    @property
    def digest(self) -> str:
        """Of both sources' digests."""
        return hashlib.sha256(f"{self.pose.digest} {self.parsing.digest}".encode()).hexdigest()

    def digest_of(self, name: str) -> str:
        """Of what both sources have for the photo."""
        return f"{digest_of(self.pose, name)} {digest_of(self.parsing, name)}"

    @property
    def origin(self) -> str:
        """Of both sources."""
        return f"pose from {self.pose.origin} and parsing from {self.parsing.origin}"

    def __call__(self, photos: Sequence[Photo]) -> list[Annotation | NoAnnotation | None]:
        """Annotate a batch; both sources must find the person, and enough of them."""
        return [_pair(*both) for both in zip(self.pose(photos), self.parsing(photos), strict=True)]


class StoredAnnotations:
    """The annotations that lie in a dataset's own folder, as `data.annotation.write_annotation` leaves them.

    Raises InputError if the dataset has none at all.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        if not (self.root / FOLDER).is_dir():
            raise InputError(f"{self.root / FOLDER}: no such folder: this dataset has no annotations of its own")

    @cached_property
    def digest(self) -> str:
        """Of every file's name and bytes."""
        return digest_files(self.root / FOLDER, [".png", ".json"])

    def digest_of(self, name: str) -> str:
        """Of the photo's two files."""
        return " ".join(digest_file(file) for file in annotation_files(self.root, self.root / name))

    @property
    def origin(self) -> str:
        """The folder, of both."""
        return f"pose and parsing from {self.root / FOLDER}"

    def check(self, names: Sequence[str]) -> None:
        """Say so if photos have no annotation; InputError if none has any."""
        Lookup(self.root / FOLDER, "stored annotation", ".png", whole=True).check(names)

    def __call__(self, photos: Sequence[Photo]) -> list[Annotation | NoAnnotation | None]:
        """Read the annotations of a batch and resize them to its photos."""
        return [self._read(photo) for photo in photos]

    def _read(self, photo: Photo) -> Annotation | NoAnnotation | None:
        try:
            annotation = read_annotation(self.root, self.root / photo.name)
        except InputError as error:
            return NoAnnotation(str(error))
        return usable(annotation.resize(*photo.pixels.shape[:2]))


class KeptAnnotations:
    """Another annotator's results, kept in a folder by the photo's pixels, so that each photo is annotated once."""

    def __init__(self, annotator: Annotator, folder: str | Path) -> None:
        self.annotator = annotator
        self.folder = Path(folder) / annotator.digest[:16]

    @property
    def digest(self) -> str:
        """That of the other annotator."""
        return self.annotator.digest

    def digest_of(self, name: str) -> str:
        """Ask the other annotator."""
        return digest_of(self.annotator, name)

    @property
    def origin(self) -> str:
        """That of the other annotator."""
        return self.annotator.origin

    def __call__(self, photos: Sequence[Photo]) -> list[Annotation | NoAnnotation | None]:
        """Annotate a batch; only photos that were not seen before reach the other annotator."""
        names = [self._name(photo.pixels) for photo in photos]
        new = [index for index, name in enumerate(names) if self._read(name) is None]
        lacking = {}
        for index, annotation in zip(new, self.annotator([photos[index] for index in new]) if new else (), strict=True):
            if isinstance(annotation, NoAnnotation):
                lacking[index] = annotation
                continue
            height, width = photos[index].pixels.shape[:2]
            write_annotation(self.folder, names[index], annotation or nobody(height, width))
        # Read back, since files round joints: a photo must look the same whether it was annotated now or earlier.
        return [lacking.get(index) or usable(read_annotation(self.folder, name)) for index, name in enumerate(names)]

    def _name(self, pixels: npt.NDArray[np.uint8]) -> Path:
        content = hashlib.sha256(f"{pixels.shape}".encode() + np.ascontiguousarray(pixels).tobytes()).hexdigest()
        return self.folder / content[:2] / content[2:34]

    def _read(self, name: Path) -> Annotation | None:
        try:
            return read_annotation(self.folder, name)
        except InputError:
            # Absent, or cut short by a crash of the machine: either way it is made again.
            return None


def usable(annotation: Annotation) -> Annotation | None:
    """Return the annotation, or None if it shows no usable person: too few joints, or hardly any clothes."""
    joints = len(Joint) - np.isnan(annotation.joints[:, 0]).sum()
    clothing: Any = np.isin(annotation.parsing, CLOTHING_REGIONS)
    return annotation if joints >= FEWEST_JOINTS and clothing.mean() >= LEAST_CLOTHING else None


def _pair(
    joints: npt.NDArray[np.float32] | NoAnnotation | None, parsing: npt.NDArray[np.uint8] | NoAnnotation | None
) -> Annotation | NoAnnotation | None:
    if isinstance(joints, NoAnnotation):
        return joints
    if isinstance(parsing, NoAnnotation):
        return parsing
    return None if joints is None or parsing is None else usable(Annotation(joints, parsing))


def nobody(height: int, width: int) -> Annotation:
    """Give the annotation of a photo of this size in which nobody was found: no joints, all background."""
    return Annotation(np.full((len(Joint), 2), np.nan, np.float32), np.zeros((height, width), np.uint8))
