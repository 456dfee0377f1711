"""The cut of clothes: how far sleeves, hem and legs reach, read from one parsing and given to another by geometry."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from data.annotation import CLOTHING_REGIONS, Annotation
from pipeline.outfits.skeleton import BACKGROUND, CLOTH, SKIN, SKIRT, TROUSERS, UPPER, Body, Floats, Limb

Labels = npt.NDArray[np.uint8]

_SAME = 0.2  # reaches closer than this are the same cut
_FLARE = 1.2  # of a skirt of which it is not known


@dataclass(frozen=True)
class Cut:
    """The shape of an outfit, free of its wearer's size. None is what could not be seen."""

    sleeve: float | None = None  # where sleeves end: 0 at the shoulder, 1 at the elbow, 2 at the wrist
    hem: float | None = None  # where the upper garment ends: 0 at the neck, 1 at the hips
    lower: Literal["skirt", "trousers"] | None = None
    leg: float | None = None  # where the lower garment ends: 0 at the hips, 1 at the knees, 2 at the ankles
    flare: float | None = None  # half width of a skirt's lower end, in half widths of the hips; None for trousers

    def __post_init__(self) -> None:
        if self.lower not in (None, "skirt", "trousers"):
            raise ValueError(f"lower is {self.lower!r}, not skirt or trousers")
        if not all(math.isfinite(part or 0) for part in (self.sleeve, self.hem, self.leg, self.flare)):
            raise ValueError("a part of the cut is no finite number: None says that it could not be seen")


def only(cut: Cut, regions: Sequence[int]) -> Cut:
    """What a cut says of garments whose regions are all among `regions`; the rest is None."""
    if UPPER not in regions:
        cut = replace(cut, sleeve=None, hem=None)
    if not {SKIRT, TROUSERS} <= set(regions):
        cut = replace(cut, lower=None, leg=None, flare=None)
    return cut


def measure_cut(annotation: Annotation) -> Cut:
    """Read the cut of a person's clothes from the labels along the bones of limbs and trunk."""
    return _measure(Body(annotation))


def recut(annotation: Annotation, cut: Cut) -> Labels:
    """Give the clothes in a photo's parsing another cut; see `recut_each`. Returns uint8 (H, W)."""
    parsing: Labels = recut_each(annotation, [cut])[0]
    return parsing


def recut_each(annotation: Annotation, cuts: Sequence[Cut]) -> Labels:
    """Give the clothes in a photo's parsing each of S other cuts.

    Sleeves, hem and the lower garment are lengthened, shortened or exchanged (skirt and trousers); skin or background
    appears where cloth goes. Only what lies between the old and the new edge of a garment changes: not what a cut or
    the photo leaves None, nor what has that cut already, nor limbs of which a joint is missing, nor hat, hair, face
    and shoes (which are labelled as trousers, below the ankles).

    Returns:
        uint8 (S, H, W), labels 0 to 7.
    """
    body = Body(annotation)
    own = _measure(body)
    parsings = np.repeat(annotation.parsing[None], len(cuts), 0)
    for parsing, cut in zip(parsings, cuts, strict=True):
        if own.hem is not None and cut.hem is not None:
            _move_hem(parsing, body, own.hem, cut.hem)
        if own.lower and own.leg is not None and cut.lower and cut.leg is not None:
            _change_lower(parsing, body, own.lower, own.leg, cut.lower, cut.leg, cut.flare or _FLARE)
        if own.sleeve is not None and cut.sleeve is not None and abs(own.sleeve - cut.sleeve) > _SAME:
            for side, arm in body.arms.items():
                _move_sleeve(parsing, body, arm, side == body.far, own.sleeve, cut.sleeve)
    return parsings


def _measure(body: Body) -> Cut:
    if not body.usable:
        return Cut()
    above = body.y < body.hips[1] + 0.5 * body.length
    skirt, trousers = (int((above & (body.parsing == label)).sum()) for label in (SKIRT, TROUSERS))
    sleeve, hem = _sleeve(body), _hem(body)
    if skirt + trousers < 0.01 * body.length**2 or not body.legs:
        return Cut(sleeve, hem)
    if skirt > trousers:
        return Cut(sleeve, hem, "skirt", *_skirt(body))
    return Cut(sleeve, hem, "trousers", _trouser_leg(body))


def _end(along: Floats, cloth: Floats, bare: Floats) -> float | None:
    """Where a garment ends: the place with the least weight of bare samples before it and of cloth samples beyond.

    Each of shape (lines, places); None if there is no cloth at all or nothing was seen.
    """
    along, cloth, bare = (np.ravel(part) for part in np.broadcast_arrays(along, cloth, bare))
    order = np.argsort(along[cloth + bare > 0], kind="stable")
    along, cloth, bare = (part[cloth + bare > 0][order] for part in (along, cloth, bare))
    if not len(along):
        return None
    misfit = np.append(0, np.cumsum(bare)) + np.append(np.cumsum(cloth[::-1])[::-1], 0)
    ends = np.concatenate([along[:1], (along[1:] + along[:-1]) / 2, along[-1:]])
    return float(ends[misfit.argmin()])


def _sleeve(body: Body) -> float | None:
    if not body.arms:
        return None
    along = np.linspace(-0.12, 2.25, 80)
    deep = ndimage.distance_transform_edt(body.parsing == UPPER) > 0.17 * body.length
    labels = np.stack([body.sample(body.parsing, arm.bone, along) for arm in body.arms.values()])
    hidden = np.stack([body.sample(deep, arm.bone, along) for arm in body.arms.values()])
    # Cloth deep inside the outline may be the trunk before the arm: one sample of skin outweighs five of it.
    return _end(along, (labels == UPPER) * np.where(hidden, 0.2, 1.0), (labels == SKIN) * 1.0)


def _hem(body: Body) -> float | None:
    """Along lines beside the trunk's axis where no arm is before it; a lower garment must be seen."""
    along = np.linspace(0.3, 1.6, 80)
    axis = np.stack([body.neck, body.hips, 2 * body.hips - body.neck])
    lines = [axis + np.array((aside * body.length, 0)) for aside in np.linspace(-0.15, 0.15, 7)]
    seen = np.where(body.before, BACKGROUND, body.parsing)
    labels = np.stack([body.sample(seen, line, along) for line in lines])
    lower = np.isin(labels, (SKIRT, TROUSERS))
    return _end(along, (labels == UPPER) * 1.0, lower * 1.0) if lower.any() else None


def _trouser_leg(body: Body) -> float | None:
    along = np.linspace(0.1, 1.95, 80)
    labels = np.stack([body.sample(body.parsing, leg.bone, along) for leg in body.legs.values()])
    return _end(along, (labels == TROUSERS) * 1.0, (labels == SKIN) * 1.0)


def _skirt(body: Body) -> tuple[float | None, float | None]:
    """Where a skirt ends and how wide it is there."""
    skirt = body.parsing == SKIRT
    rows = np.flatnonzero(skirt.sum(1) > 0.5 * body.hip_width)
    if not len(rows):
        return None, None
    levels = np.maximum.accumulate(body.leg.bone[:, 1])
    reach = np.interp(rows[-1] + 1, levels, (0, 1, 2))
    columns = np.flatnonzero(skirt[rows[-1]])
    return float(reach), float((columns[-1] + 1 - columns[0]) / 2 / body.hip_width)


def _move_sleeve(parsing: Labels, body: Body, arm: Limb, far: bool, old: float, new: float) -> None:
    """Lengthen or shorten the sleeve of one arm, in place."""
    start, end = min(old, new), max(old, new)
    zone = (arm.along <= end) & ((arm.along > start) | (start < 0.1))
    if new > old:
        taken = (parsing == SKIN) & (arm.off <= 1.5) | (parsing == BACKGROUND) & (arm.off <= CLOTH)
        if not far:
            taken |= np.isin(parsing, (SKIRT, TROUSERS)) & (arm.off <= CLOTH)
        elif body.legs:
            taken &= body.leg.off > 1
        parsing[zone & taken] = UPPER
        return
    cloth = zone & (parsing == UPPER) & (arm.off <= 1.6)
    if far:
        cloth &= ~body.trunk
    if not cloth.any():
        return
    # Around the bare arm there is now what lies nearest: trunk, lower garment or background.
    nearest = ndimage.distance_transform_edt(cloth, return_distances=False, return_indices=True)
    behind = parsing[tuple(nearest)]
    behind[~np.isin(behind, CLOTHING_REGIONS)] = BACKGROUND
    parsing[cloth] = np.where(arm.off <= 1, SKIN, behind)[cloth]


def _move_hem(parsing: Labels, body: Body, old: float, new: float) -> None:
    """Lengthen or shorten the upper garment over the lower one, in place."""
    along = (body.y - body.neck[1]) / body.length
    zone = (along > min(old, new)) & (along <= max(old, new))
    lower = np.isin(parsing, (SKIRT, TROUSERS))
    if new > old:
        parsing[zone & lower] = UPPER
    else:
        cloth = zone & (parsing == UPPER) & body.trunk & ~body.before
        parsing[cloth] = np.bincount(parsing[lower]).argmax()


def _change_lower(
    parsing: Labels, body: Body, kind: str, reach: float, new_kind: str, new_reach: float, flare: float
) -> None:
    """Exchange, lengthen or shorten the lower garment, in place."""
    if kind == new_kind and abs(reach - new_reach) <= _SAME:
        return
    worn = 0.0 if kind == "skirt" else min(reach, new_reach)
    _bare_legs(parsing, body, kind, worn)
    if new_kind == "skirt":
        _put_on_skirt(parsing, body, new_reach, flare)
    else:
        _put_on_trousers(parsing, body, worn, new_reach)


def _bare_legs(parsing: Labels, body: Body, kind: str, worn: float) -> None:
    """Take the lower garment off from where it shall no longer be `worn`, in place; all of a skirt but its waist."""
    garment = np.isin(parsing, (SKIRT, TROUSERS)) & ~body.shoes
    below = garment & (body.y > body.hips[1] + 0.1 * body.length)
    if kind == "skirt":
        parsing[garment & ~below & (np.abs(body.x - body.hips[0]) > body.hip_width)] = BACKGROUND
    off = below & (body.leg.along > worn)
    parsing[off] = np.where(body.leg.off <= 1, SKIN, BACKGROUND)[off]


def _put_on_trousers(parsing: Labels, body: Body, worn: float, reach: float) -> None:
    """Make trousers of the lower garment that is `worn` and lengthen their legs, in place."""
    parsing[np.isin(parsing, (SKIRT, TROUSERS))] = TROUSERS
    zone = (body.leg.along > worn) & (body.leg.along <= reach) & ~body.before
    skin = (parsing == SKIN) & (body.leg.off <= 1.4)
    parsing[zone & (skin | (parsing == BACKGROUND) & (body.leg.off <= CLOTH))] = TROUSERS


def _put_on_skirt(parsing: Labels, body: Body, reach: float, flare: float) -> None:
    """Make a skirt of the lower garment and fill it down to its end, in place."""
    parsing[np.isin(parsing, (SKIRT, TROUSERS)) & ~body.shoes] = SKIRT
    top = body.hips[1] - 0.1 * body.length
    bottom = max(float(np.interp(reach, (0, 1, 2), body.leg.bone[:, 1])), top + 1)
    half = np.interp(body.y, (top, bottom), (1, flare)) * body.hip_width
    inside = (body.y > top) & (body.y <= bottom) & (np.abs(body.x - body.hips[0]) <= half)
    parsing[inside & np.isin(parsing, (BACKGROUND, SKIN)) & ~body.before] = SKIRT
