"""People: what an annotator found in photos, sorted out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from data.annotation import Annotation
from data.photo import Photo, read_batches
from data.runtime.errors import InputError
from pipeline.annotate.agreement import agreement, check_agreement
from pipeline.annotate.annotator import Annotator, NoAnnotation
from pipeline.blame import each_alone, in_words

_BATCH = 16
_FIRST = 64  # photos, by whose agreement hours of work are spared


@dataclass(frozen=True)
class People:
    """What was found in B photos.

    Attributes:
        annotations: of those that show a person, by the photo's number.
        reasons: why others have no annotation that can be used, by the photo's number.
        agreement: float32 (B,), how well pose and parsing agree, NaN without a person.
    """

    annotations: Mapping[int, Annotation]
    reasons: Mapping[int, str]
    agreement: npt.NDArray[np.float32]


def find_people(annotator: Annotator, photos: Sequence[Photo]) -> People:
    """Annotate photos and sort out what was found; a photo over which the annotator stumbles alone has no annotation.

    If it stumbles over each of several photos, its error is raised, and so is any that is no photo's fault.
    """
    found = list(enumerate(_annotate(annotator, photos)))
    annotations = {number: one for number, one in found if isinstance(one, Annotation)}
    reasons = {number: one.reason for number, one in found if isinstance(one, NoAnnotation)}
    measured = np.full(len(photos), np.nan, np.float32)
    for number, annotation in annotations.items():
        measured[number] = agreement(annotation)
    return People(annotations, reasons, measured)


def _annotate(annotator: Annotator, photos: Sequence[Photo]) -> Sequence[Annotation | NoAnnotation | None]:
    try:
        return annotator(photos)
    except Exception as error:
        found = each_alone(error, lambda photo: annotator([photo])[0], photos)
    reasons = (f"{photo.path}: it cannot be annotated" for photo in photos)
    return [
        NoAnnotation(f"{reason} ({in_words(one)})") if isinstance(one, Exception) else one
        for one, reason in zip(found, reasons, strict=True)
    ]


def read_people(paths: Iterable[Path], root: Path, annotator: Annotator) -> Iterator[tuple[Photo, Annotation]]:
    """Read photos and give those that show a person, few at a time, however large they are.

    Args:
        paths: the files; those that cannot be read are left out.
        root: the data set's folder.
        annotator: gives pose and parsing.

    Raises:
        InputError: after the last, if no annotation can be used, or if pose and parsing do not belong together.
    """
    agreements: list[float] = []
    reasons: list[str] = []
    asked = 0
    for batch in read_batches(paths, root, _BATCH):
        people = find_people(annotator, batch.photos)
        asked += len(batch.photos)
        agreements += people.agreement.tolist()
        reasons += people.reasons.values()
        for number, annotation in people.annotations.items():
            yield batch.photos[number], annotation
    if reasons and len(reasons) == asked:
        raise InputError(f"none of {asked:,} photos has an annotation that can be used; the first: {reasons[0]}")
    check_agreement(agreements, annotator.origin)


def check_first(paths: Sequence[Path], root: Path, annotator: Annotator, seed: int = 0) -> None:
    """See by some photos, drawn from all, that pose and parsing belong together; InputError as `read_people`."""
    drawn = np.random.default_rng(seed).permutation(len(paths))[:_FIRST]
    for _ in read_people([paths[number] for number in drawn], root, annotator):
        pass
