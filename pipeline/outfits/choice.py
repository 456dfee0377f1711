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
from scipy.spatial.distance import cdist

from data.annotation import CLOTHING_REGIONS, FOLDER, Annotation
from data.photo import Photo
from data.readers import layout
from data.runtime.errors import InputError
from data.runtime.walk import digest_files
from pipeline.annotate.agreement import agreement
from pipeline.annotate.annotator import Annotator, StoredAnnotations
from pipeline.annotate.people import check_first, read_people
from pipeline.framing import Canvas, resize
from pipeline.outfits.garments import look, pick_apart
from pipeline.outfits.shape import measure_shape
from pipeline.outfits.suitability import against, joints_in_sight, upright_and_clothed
from pipeline.outfits.templates import Templates
from pipeline.pise import Generator
from pipeline.tensors import to_pictures, to_regions

# From how many training photos templates are chosen; annotating and comparing so many takes little time.
_CANDIDATES = 256
_BATCH = 16

# Of the choice by what is seen; raised when it comes out otherwise.
_VERSION = 1

# Outfits of which this neighbour is farthest away are odd ones, and so large a share of all is dropped.
_NEIGHBOUR = 3
_ODD = 0.1


@dataclass(frozen=True)
class TemplateChoice:
    """How many templates there shall be, and where they come from: a folder, or the training photos themselves.

    A folder may hold annotations of its own (as `data.annotation` writes them). With `as_seen`, people are weighed by
    all of `pipeline.outfits.suitability.against`, and outfits differ by their colours as well as by their style codes.

    Raises:
        InputError: the folder is not there, or has fewer pictures than templates.
    """

    count: int
    folder: Path | None = None
    seed: int = 0
    as_seen: bool = False

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
        seen = {"as_seen": _VERSION} if self.as_seen else {}
        return {"count": self.count, "seed": self.seed, "folder": digest, **seen}


class _Candidate(NamedTuple):
    """A photo that shows a person: its path, a small picture, what lies on the canvas, and what is seen in the photo.

    `against` is what speaks against it in words, `found` how well it was seen, `look` what is worn, in numbers.
    """

    path: str
    picture: npt.NDArray[np.uint8]
    image: npt.NDArray[np.uint8]
    annotation: Annotation
    against: tuple[str, ...]
    found: str
    look: npt.NDArray[np.float32]


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
    are there, have something that speaks against them are left out. From the rest `farthest` picks by the style codes
    of the clothing regions; or, as seen, `pick_apart` by `distances`, the most usual outfit first.

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
    outfits = _outfits(codes, present)
    looks = np.stack([candidate.look for candidate in candidates])
    if len(candidates) == choice.count:
        picked = list(range(choice.count))
    elif choice.as_seen:
        distance = distances(looks, outfits)
        picked = pick_apart(distance, int(distance.sum(1).argmin()), choice.count)
    else:
        picked = farthest(outfits, choice.count)
    return Templates(
        photos=tuple(candidates[index].path for index in picked),
        pictures=np.stack([candidates[index].picture for index in picked]),
        codes=codes[picked],
        present=present[picked],
        shapes=tuple(measure_shape(candidates[index].annotation) for index in picked),
        reasons=_reasons([candidates[index] for index in picked], len(candidates)) if choice.as_seen else (),
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
    first = int(np.linalg.norm(points[keep] - points[keep].mean(0), axis=1).argmin())
    return [int(keep[index]) for index in pick_apart(distance[np.ix_(keep, keep)], first, count)]


def distances(looks: npt.NDArray[np.float32], codes: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """How different N outfits are, (N, N): as they are seen and to the generator, both alike in weight.

    Each of the two is measured in its median over all pairs, so that a few red garments among many dark ones count.

    Args:
        looks: (N, 8), as `pipeline.outfits.garments.look` gives them.
        codes: (N, d), the style codes of the clothes.
    """
    parts = [cdist(points, points) for points in (looks, codes)]
    medians = [np.median(part[part > 0]) if part.any() else 1.0 for part in parts]
    return np.hypot(parts[0] / medians[0], parts[1] / medians[1])


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
        _candidate(photo, annotation, canvas, size, choice.as_seen)
        for photo, annotation in read_people(paths, root, annotator)
    ]
    if len(seen) < choice.count:
        raise InputError(
            f"{choice.folder or 'the training photos'}: only {len(seen)} of {len(paths)} pictures show a usable "
            f"person, but {choice.count} templates are wanted: give others as TEMPLATES"
        )
    # The least that speaks against them of as many as are wanted.
    bearable = sorted(len(candidate.against) for candidate in seen)[choice.count - 1]
    if choice.as_seen or not bearable:
        return [candidate for candidate in seen if len(candidate.against) <= bearable]
    return seen


def _candidate(
    photo: Photo, annotation: Annotation, canvas: Canvas, size: tuple[int, int], as_seen: bool
) -> _Candidate:
    small, parsing = resize(photo.pixels, size), annotation.resize(*size).parsing
    if as_seen:
        faults = against(annotation)
    else:
        faults = () if upright_and_clothed(annotation) else ("not upright or hardly dressed",)
    found = f"{joints_in_sight(annotation)} of 13 joints, pose and parsing agree to {agreement(annotation):.0%}"
    placed, annotated, _ = canvas.fit(photo.pixels, annotation)
    return _Candidate(str(photo.path), small, placed, annotated, faults, found, look(small, parsing))


def _reasons(chosen: Sequence[_Candidate], others: int) -> tuple[str, ...]:
    """Why each was chosen, in lines for the sheet."""
    reasons = []
    for number, candidate in enumerate(chosen):
        gaps = [float(np.linalg.norm(candidate.look - other.look)) for other in chosen[:number]]
        why = f"colours {min(gaps):.0f} from the nearest above (CIELAB)" if gaps else f"the most usual of {others}"
        but = f"but: {', '.join(candidate.against)}" if candidate.against else "nothing speaks against it"
        reasons.append("\n".join([Path(candidate.path).name, why, candidate.found, but]))
    return tuple(reasons)


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
