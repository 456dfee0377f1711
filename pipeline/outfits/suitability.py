"""Suitability: who is seen well enough for others to be dressed in their clothes, and what speaks against it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from data.annotation import Annotation, Joint, Region
from pipeline.annotate.agreement import DOUBTFUL, agreement

# Found by trying on walkers. The share of the photo that garments above and below must have, the
# upper one so many times as much where nothing is seen below (a dress); and how far hips may lie aside of the neck, as
# a share of their distance below it (19 degrees).
_FEWEST_CLOTHES = 0.04
_DRESS = 3
_MOST_LEANING = 0.35

_BODY = (
    Joint.NECK,
    *(Joint.RIGHT_SHOULDER, Joint.RIGHT_ELBOW, Joint.RIGHT_WRIST, Joint.RIGHT_HIP, Joint.RIGHT_KNEE, Joint.RIGHT_ANKLE),
    *(Joint.LEFT_SHOULDER, Joint.LEFT_ELBOW, Joint.LEFT_WRIST, Joint.LEFT_HIP, Joint.LEFT_KNEE, Joint.LEFT_ANKLE),
)
_KNEES = (Joint.RIGHT_KNEE, Joint.LEFT_KNEE)
_ANKLES = (Joint.RIGHT_ANKLE, Joint.LEFT_ANKLE)
_HEAD = (Region.HAT, Region.HAIR, Region.FACE)
# An arm may be hidden behind the body, not more.
_FEWEST_JOINTS = 11
# Of all that is labelled as a person; the rest is somebody else, or a failure of the parsing.
_LEAST_WHOLE = 0.9


def joints_in_sight(annotation: Annotation) -> int:
    """How many of the 13 joints of trunk and limbs were found inside the picture."""
    return int(_inside(annotation)[list(_BODY)].sum())


def upright_and_clothed(annotation: Annotation) -> bool:
    """Whether a person stands (neck over hips over knees, leaning less than 19 degrees) and shows enough clothes."""
    return _upright(annotation) and _clothed(annotation)


def against(annotation: Annotation) -> tuple[str, ...]:
    """What speaks against a photo as a template, in words; nothing if it is one that is worth wearing.

    A template shows one person, found with confidence (11 of the 13 joints of trunk and limbs, whatever found them: an
    annotator leaves out what it is not sure of), upright, dressed, whole inside the picture, and with pose and parsing
    in agreement.
    """
    inside = _inside(annotation)
    whole = inside[list(_KNEES)].all() and inside[list(_ANKLES)].any() and np.isin(annotation.parsing, _HEAD).any()
    judged = {
        "few joints in sight": joints_in_sight(annotation) < _FEWEST_JOINTS,
        "head or feet not in the picture": not whole,
        "not upright": not _upright(annotation),
        "hardly dressed": not _clothed(annotation),
        "pose and parsing disagree": not agreement(annotation) >= DOUBTFUL,
        "in pieces, or with somebody else": _largest_piece(annotation.parsing) < _LEAST_WHOLE,
    }
    return tuple(words for words, true in judged.items() if true)


def _upright(annotation: Annotation) -> bool:
    joints = annotation.joints
    hips = (joints[Joint.LEFT_HIP] + joints[Joint.RIGHT_HIP]) / 2
    knees = (joints[Joint.LEFT_KNEE] + joints[Joint.RIGHT_KNEE]) / 2
    across, down = hips - joints[Joint.NECK]
    return bool(abs(across) <= _MOST_LEANING * down and knees[1] > hips[1])


def _clothed(annotation: Annotation) -> bool:
    upper = (annotation.parsing == Region.UPPER_CLOTHES).mean()
    lower = np.isin(annotation.parsing, (Region.SKIRT, Region.TROUSERS)).mean()
    dressed = lower >= _FEWEST_CLOTHES or upper >= _DRESS * _FEWEST_CLOTHES
    return bool(upper >= _FEWEST_CLOTHES and dressed)


def _inside(annotation: Annotation) -> npt.NDArray[np.bool_]:
    """Which joints (18,) were found and lie in the picture."""
    height, width = annotation.parsing.shape
    x, y = annotation.joints.T
    return (x >= 0) & (x <= width) & (y >= 0) & (y <= height)


def _largest_piece(parsing: npt.NDArray[np.uint8]) -> float:
    """The share of all that is labelled as a person which hangs together."""
    pieces, count = ndimage.label(parsing != Region.BACKGROUND, np.ones((3, 3)))
    sizes = np.bincount(pieces.ravel(), minlength=2)[1:]
    return float(sizes.max() / sizes.sum()) if count else 0.0
