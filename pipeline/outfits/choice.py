"""The choice of templates: photos of people who stand and whose clothes differ most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from data.annotation import CLOTHING_REGIONS, FOLDER, Annotation, Joint, Region
from data.readers import layout
from data.runtime.errors import InputError
from data.runtime.walk import digest_files
from pipeline.annotate.annotator import Annotator, StoredAnnotations
from pipeline.annotate.people import check_first, read_people
from pipeline.framing import Canvas, resize
from pipeline.outfits.shape import measure_shape
from pipeline.outfits.templates import Templates
from pipeline.pise import Generator
from pipeline.tensors import to_pictures, to_regions

# From how many training photos templates are chosen; annotating and comparing so many takes little time.
_CANDIDATES = 256
_BATCH = 16

# Found by trying on walkers. The share of the photo that garments above and below must have, the
# upper one so many times as much where nothing is seen below (a dress); and how far hips may lie aside of the neck, as
# a share of their distance below it (19 degrees).
_FEWEST_CLOTHES = 0.04
_DRESS = 3
_MOST_LEANING = 0.35

# Outfits of which this neighbour is farthest away are odd ones, and so large a share of all is dropped.
_NEIGHBOUR = 3
_ODD = 0.1


@dataclass(frozen=True)
class TemplateChoice:
    """How many templates there shall be, and where they come from: a folder, or the training photos themselves.

    A folder may hold annotations of its own (as `data.annotation` writes them).

    Raises:
        InputError: the folder is not there, or has fewer pictures than templates.
    """

    count: int
    folder: Path | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the folder."""
        if self.folder is None:
            return
        if not self.folder.is_dir():
            raise InputError(f"{self.folder}: no such folder: give one with pictures of clothed people as TEMPLATES")
        if len(self.photos) < self.count:
            raise InputError(f"{self.folder}: {len(self.photos)} pictures, but {self.count} templates are wanted")

    @cached_property
    def photos(self) -> list[Path]:
        """The folder's pictures."""
        if self.folder is None:
            return []
        inside = layout.images(self.folder)
        return [path for path in inside if path.relative_to(self.folder).parts[0] != FOLDER]

    @cached_property
    def recipe(self) -> dict[str, Any]:
        """What decides the templates, given photos, annotator and generator, as JSON."""
        digest = digest_files(self.folder, [*layout.SUFFIXES, ".json"]) if self.folder else None
        return {"count": self.count, "seed": self.seed, "folder": digest}


class _Candidate(NamedTuple):
    """A photo that shows a person: its path, a small picture, what lies on the canvas, and whether it is well seen."""

    path: str
    picture: npt.NDArray[np.uint8]
    image: npt.NDArray[np.uint8]
    annotation: Annotation
    good: bool


def choose(
    choice: TemplateChoice,
    photos: Sequence[Path],
    root: Path,
    annotator: Annotator,
    generator: Generator,
    canvas: Canvas,
    size: tuple[int, int],
) -> Templates:
    """Choose templates that differ in their clothes.

    From the folder, or from 256 photos drawn from all. Those that cannot be read, show no person or, if enough others
    are there, are not upright and well parsed, are left out; `farthest` picks from the rest by the style codes of the
    clothing regions.

    Args:
        choice: how many, and where they come from.
        photos: the training photos.
        root: the data set's folder.
        annotator: gives them their pose and parsing.
        generator: gives them their style.
        canvas: what the generator paints on.
        size: (height, width) of the templates' pictures.

    Raises:
        InputError: too few are left.
    """
    candidates = _candidates(choice, photos, root, annotator, canvas, size)
    codes, present = _styles(candidates, generator)
    everyone = len(candidates) == choice.count
    picked = list(range(choice.count)) if everyone else farthest(_outfits(codes, present), choice.count)
    return Templates(
        photos=tuple(candidates[index].path for index in picked),
        pictures=np.stack([candidates[index].picture for index in picked]),
        codes=codes[picked],
        present=present[picked],
        shapes=tuple(measure_shape(candidates[index].annotation) for index in picked),
    )


def farthest(points: npt.NDArray[np.float32], count: int) -> list[int]:
    """Give the indices of `count` of the points (N, d) that lie far apart.

    By the farthest-point rule (Gonzalez, Clustering to minimize the maximum intercluster distance, 1985): first the one
    nearest to the mean, then again and again the one farthest from all picked so far. Before that the tenth that is
    farthest from its own neighbours is dropped, since the rule would pick just the failures of parsing.
    """
    distance = np.linalg.norm(points[:, None] - points[None], axis=-1)
    nearest = np.sort(distance, axis=1)[:, min(_NEIGHBOUR, len(points) - 1)]
    keep = np.argsort(nearest, kind="stable")[: max(count, round(len(points) * (1 - _ODD)))]
    distance = distance[np.ix_(keep, keep)]
    picked = [int(np.linalg.norm(points[keep] - points[keep].mean(0), axis=1).argmin())]
    while len(picked) < count:
        gap = distance[:, picked].min(1)
        gap[picked] = -1
        picked.append(int(gap.argmax()))
    return [int(keep[index]) for index in picked]


def upright_and_clothed(annotation: Annotation) -> bool:
    """Whether a person stands (neck over hips over knees, leaning less than 19 degrees) and shows enough clothes."""
    joints = annotation.joints
    hips = (joints[Joint.LEFT_HIP] + joints[Joint.RIGHT_HIP]) / 2
    knees = (joints[Joint.LEFT_KNEE] + joints[Joint.RIGHT_KNEE]) / 2
    across, down = hips - joints[Joint.NECK]
    standing = abs(across) <= _MOST_LEANING * down and knees[1] > hips[1]
    upper = (annotation.parsing == Region.UPPER_CLOTHES).mean()
    lower = np.isin(annotation.parsing, (Region.SKIRT, Region.TROUSERS)).mean()
    dressed = lower >= _FEWEST_CLOTHES or upper >= _DRESS * _FEWEST_CLOTHES
    return bool(standing and upper >= _FEWEST_CLOTHES and dressed)


def _candidates(
    choice: TemplateChoice,
    photos: Sequence[Path],
    root: Path,
    annotator: Annotator,
    canvas: Canvas,
    size: tuple[int, int],
) -> list[_Candidate]:
    """Photos to choose from, well seen ones alone if there are enough; each is made small as soon as it was seen."""
    if choice.folder is None:
        drawn = np.random.default_rng(choice.seed).permutation(len(photos))[: max(_CANDIDATES, choice.count)]
        paths = [photos[index] for index in drawn]
    else:
        check_first(photos, root, annotator, choice.seed)
        paths = choice.photos
        if (choice.folder / FOLDER).is_dir():
            annotator, root = StoredAnnotations(choice.folder), choice.folder
    seen = [
        _Candidate(
            str(photo.path),
            resize(photo.pixels, size),
            *canvas.fit(photo.pixels, annotation)[:2],
            upright_and_clothed(annotation),
        )
        for photo, annotation in read_people(paths, root, annotator)
    ]
    if len(seen) < choice.count:
        raise InputError(
            f"{choice.folder or 'the training photos'}: only {len(seen)} of {len(paths)} pictures show a usable "
            f"person, but {choice.count} templates are wanted: give others as TEMPLATES"
        )
    good = [candidate for candidate in seen if candidate.good]
    return good if len(good) >= choice.count else seen


@torch.inference_mode()
def _styles(
    candidates: Sequence[_Candidate], generator: Generator
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Codes (N, 9, 4C) and presence (N, 8) of pictures on the canvas."""
    device = next(generator.parameters()).device
    parts = []
    for start in range(0, len(candidates), _BATCH):
        batch = candidates[start : start + _BATCH]
        image = to_pictures(np.stack([candidate.image for candidate in batch]), device)
        parsing = to_regions(np.stack([candidate.annotation.parsing for candidate in batch]), device)
        parts.append([part.cpu().numpy() for part in generator.style(image, parsing)])
    codes, present = (np.concatenate(part) for part in zip(*parts, strict=True))
    return codes, present


def _outfits(codes: npt.NDArray[np.float32], present: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The codes of the clothing regions in one vector, those of absent regions 0."""
    regions = list(CLOTHING_REGIONS)
    return (codes[:, regions] * present[:, regions, None]).reshape(len(codes), -1)
