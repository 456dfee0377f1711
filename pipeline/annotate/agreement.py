"""Agreement: whether pose and parsing belong together, and so to the photo."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from data.annotation import CLOTHING_REGIONS, Annotation, Joint, Region
from data.runtime.errors import InputError
from data.runtime.logs import get_logger

REFUSED = 1 / 3
DOUBTFUL = 2 / 3
"""Agreements below them. Right annotations reach 0.96 on walkers and 0.93 on rendered 3-D people; maps turned by 90 or
180 degrees, joints in shares of the photo, of another canvas or of somebody outside 0 to 0.05, maps of another label
space 0.2 to 0.45, maps with margins at their sides 0.46."""

_PARTS: tuple[tuple[tuple[Joint, ...], tuple[Region, ...]], ...] = (
    (
        (Joint.NOSE, Joint.RIGHT_EYE, Joint.LEFT_EYE, Joint.RIGHT_EAR, Joint.LEFT_EAR),
        (Region.HAT, Region.HAIR, Region.FACE),
    ),
    ((Joint.RIGHT_SHOULDER, Joint.LEFT_SHOULDER, Joint.RIGHT_HIP, Joint.LEFT_HIP), CLOTHING_REGIONS),
)

_doubted: set[str] = set()

_log = get_logger(__name__)


def agreement(annotation: Annotation) -> float:
    """How well pose and parsing agree, 0 to 1.

    The geometric mean of two shares: of the joints of the head that lie on head, hair or hat, and of shoulders and hips
    that lie on clothes. So one cannot make up for the other: upside down, most shoulders and hips lie on clothes.
    Missing joints do not count, those outside the photo count as beside the person. NaN without any of them.
    """
    shares = [_share(annotation, joints, regions) for joints, regions in _PARTS]
    known = [share for share in shares if not np.isnan(share)]
    return float(np.prod(known) ** (1 / len(known))) if known else float("nan")


def check_agreement(agreements: Sequence[float], origin: str) -> None:
    """Refuse pose and parsing that do not belong together, and warn where that is doubtful.

    Args:
        agreements: of some photos, NaN where unknown.
        origin: where pose and parsing come from.

    Raises:
        InputError: their mean is below a third.
    """
    known = [value for value in agreements if not np.isnan(value)]
    if known and (mean := float(np.mean(known))) < DOUBTFUL:
        line = disagreement(mean, len(known), origin)
        if mean < REFUSED:
            raise InputError(line)
        doubt(line, origin)


def doubt(line: str, origin: str) -> None:
    """Warn that pose and parsing may not belong together, once a process of the same ones, however often they are read.

    Args:
        line: the warning.
        origin: where pose and parsing come from.
    """
    if origin not in _doubted:
        _doubted.add(origin)
        _log.warning(line)


def disagreement(mean: float, count: int, origin: str) -> str:
    """Say how badly pose and parsing agree in so many photos, and what that mostly comes from."""
    return (
        f"{origin} agree to {mean:.0%} only, by whether head, shoulders and hips lie on head and clothes in {count:,} "
        "photos: see that the maps are upright as the photo's EXIF says, not stretched or with margins, and of the "
        "--labels given, and that the joints are in pixels of the photo (not 0 to 1, nor of another canvas_width) and "
        "of the person in it"
    )


def _share(annotation: Annotation, joints: Sequence[Joint], regions: Sequence[Region]) -> float:
    """How many of the joints lie on the regions; NaN if all are missing."""
    height, width = annotation.parsing.shape
    points = annotation.joints[list(joints)]
    points = points[~np.isnan(points).any(1)]
    if not len(points):
        return float("nan")
    inside = points[((points >= 0) & (points < (width, height))).all(1)].astype(int)
    return float(np.isin(annotation.parsing[inside[:, 1], inside[:, 0]], regions).sum() / len(points))
