"""The shape of clothes: how far sleeves, hem and legs reach, read from one parsing and given to another by geometry."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from data.annotation import CLOTHING_REGIONS, Annotation, Region
from pipeline.outfits.skeleton import CLOTHED, Bone, Floats, Skeleton

Labels = npt.NDArray[np.uint8]

# Numbers were found by trying on walkers, whose parsings are known in both outfits. Lengths are shares of the trunk's;
# places along a limb count 0 at shoulder or hip, 1 at elbow or knee, 2 at wrist or ankle; places along the trunk 0 at
# the neck and 1 at the hips; distances from a bone are in half widths of the bare limb.

# Reaches closer than this are the same shape.
_SAME = 0.2
# Flare of a skirt of which it is not known.
_FLARE = 1.2

_SAMPLES = 80
# Where ends of garments are looked for: from the place where the trunk ends or the limb begins to beyond any garment's
# end, but trousers not beyond the ankle, where shoes have their label.
_SLEEVE_ALONG = (-0.12, 2.25)
_HEM_ALONG = (0.3, 1.6)
_LEG_ALONG = (0.1, 1.95)
# The hem is read on several lines beside the trunk's axis.
_HEM_ASIDE, _HEM_LINES = 0.15, 7
# Cloth so far inside the outline may be the trunk before the arm: one sample of skin outweighs five of it.
_DEEP, _DEEP_WEIGHT = 0.17, 0.2

# Whether somebody wears a skirt or trousers is told above the middle of the thighs, so that shoes do not count, and
# only if there is so much of either, as a share of the squared length.
_TOLD_ABOVE = 0.5
_LEAST_LOWER = 0.01
# A row belongs to the skirt proper, not to a stray tip, if it has so much of the half width of the hips.
_ROW_OF_SKIRT = 0.5

# A sleeve that begins before this place begins at the shoulder: all above is its, too.
_AT_SHOULDER = 0.1
# Labels so near to a bone are the limb's: skin about an arm, its sleeve, skin about a leg; a bare limb ends at 1.
_SKIN_OF_ARM = 1.5
_SLEEVE_OF_ARM = 1.6
_SKIN_OF_LEG = 1.4
_BARE = 1
# The waist, above which a garment below is not touched, lies so far from the hips' joints: below them where something
# is taken off, above them where a skirt begins.
_WAIST = 0.1


@dataclass(frozen=True)
class Shape:
    """The shape of an outfit, free of its wearer's size. None is what could not be seen.

    Attributes:
        sleeve: where sleeves end: 0 at the shoulder, 1 at the elbow, 2 at the wrist.
        hem: where the upper garment ends: 0 at the neck, 1 at the hips.
        lower: what is worn below.
        leg: where the lower garment ends: 0 at the hips, 1 at the knees, 2 at the ankles.
        flare: half width of a skirt's lower end, in half widths of the hips; None for trousers.

    Raises:
        ValueError: `lower` is neither, or a number is not finite.
    """

    sleeve: float | None = None
    hem: float | None = None
    lower: Literal["skirt", "trousers"] | None = None
    leg: float | None = None
    flare: float | None = None

    def __post_init__(self) -> None:
        if self.lower not in (None, "skirt", "trousers"):
            raise ValueError(f"lower is {self.lower!r}, not skirt or trousers")
        if not all(math.isfinite(part or 0) for part in (self.sleeve, self.hem, self.leg, self.flare)):
            raise ValueError("a part of the shape is no finite number: None says that it could not be seen")

    def only(self, regions: Sequence[int]) -> Shape:
        """What it says of garments whose regions are all among `regions`; the rest is None."""
        shape = self
        if Region.UPPER_CLOTHES not in regions:
            shape = replace(shape, sleeve=None, hem=None)
        if not {Region.SKIRT, Region.TROUSERS} <= set(regions):
            shape = replace(shape, lower=None, leg=None, flare=None)
        return shape


def measure_shape(annotation: Annotation) -> Shape:
    """Read the shape of a person's clothes from the labels along the bones of limbs and trunk."""
    return _measure(Skeleton(annotation))


def reshape(annotation: Annotation, shape: Shape) -> Labels:
    """Give the clothes in a photo's parsing another shape, as `reshape_each` does: uint8 (H, W)."""
    parsing: Labels = reshape_each(annotation, [shape])[0]
    return parsing


def reshape_each(annotation: Annotation, shapes: Sequence[Shape]) -> Labels:
    """Give the clothes in a photo's parsing each of S other shapes.

    Sleeves, hem and the lower garment are lengthened, shortened or exchanged (skirt and trousers); skin or background
    appears where cloth goes. Only what lies between the old and the new edge of a garment changes: not what the photo
    or the new shape leaves None, nor what has that shape already, nor limbs of which a joint is missing, nor hat, hair,
    face and shoes (which are labelled as trousers, below the ankles).

    Args:
        annotation: of the photo.
        shapes: S of them.

    Returns:
        uint8 (S, H, W), labels 0 to 7.
    """
    skeleton = Skeleton(annotation)
    own = _measure(skeleton)
    parsings = np.repeat(annotation.parsing[None], len(shapes), 0)
    for parsing, new in zip(parsings, shapes, strict=True):
        if own.hem is not None and new.hem is not None:
            _move_hem(parsing, skeleton, own.hem, new.hem)
        if own.lower and own.leg is not None and new.lower and new.leg is not None:
            _change_lower(parsing, skeleton, own.lower, own.leg, new.lower, new.leg, new.flare or _FLARE)
        if own.sleeve is not None and new.sleeve is not None and abs(own.sleeve - new.sleeve) > _SAME:
            for side, arm in skeleton.arms.items():
                _move_sleeve(parsing, skeleton, arm, side == skeleton.far, own.sleeve, new.sleeve)
    return parsings


def _measure(skeleton: Skeleton) -> Shape:
    if not skeleton.usable:
        return Shape()
    above = skeleton.y < skeleton.hips[1] + _TOLD_ABOVE * skeleton.length
    skirt, trousers = (int((above & (skeleton.parsing == region)).sum()) for region in (Region.SKIRT, Region.TROUSERS))
    sleeve, hem = _sleeve(skeleton), _hem(skeleton)
    if skirt + trousers < _LEAST_LOWER * skeleton.length**2 or not skeleton.legs:
        return Shape(sleeve, hem)
    if skirt > trousers:
        return Shape(sleeve, hem, "skirt", *_skirt(skeleton))
    return Shape(sleeve, hem, "trousers", _trouser_leg(skeleton))


def _end(along: Floats, cloth: Floats, bare: Floats) -> float | None:
    """Where a garment ends: the place with the least weight of bare samples before it and of cloth samples beyond.

    Each of shape (lines, places); None if nothing was seen.
    """
    along, cloth, bare = (np.ravel(part) for part in np.broadcast_arrays(along, cloth, bare))
    order = np.argsort(along[cloth + bare > 0], kind="stable")
    along, cloth, bare = (part[cloth + bare > 0][order] for part in (along, cloth, bare))
    if not len(along):
        return None
    misfit = np.append(0, np.cumsum(bare)) + np.append(np.cumsum(cloth[::-1])[::-1], 0)
    ends = np.concatenate([along[:1], (along[1:] + along[:-1]) / 2, along[-1:]])
    return float(ends[misfit.argmin()])


def _sleeve(skeleton: Skeleton) -> float | None:
    if not skeleton.arms:
        return None
    along = np.linspace(*_SLEEVE_ALONG, _SAMPLES)
    arms = [arm.joints for arm in skeleton.arms.values()]
    outline = ndimage.distance_transform_edt(skeleton.parsing == Region.UPPER_CLOTHES)
    labels = np.stack([skeleton.sample(skeleton.parsing, arm, along) for arm in arms])
    deep = np.stack([skeleton.sample(outline > _DEEP * skeleton.length, arm, along) for arm in arms])
    cloth = (labels == Region.UPPER_CLOTHES) * np.where(deep, _DEEP_WEIGHT, 1.0)
    return _end(along, cloth, (labels == Region.SKIN) * 1.0)


def _hem(skeleton: Skeleton) -> float | None:
    """Along lines beside the trunk's axis where no arm is before it; a lower garment must be seen."""
    along = np.linspace(*_HEM_ALONG, _SAMPLES)
    axis = np.stack([skeleton.neck, skeleton.hips, 2 * skeleton.hips - skeleton.neck])
    asides = np.linspace(-_HEM_ASIDE, _HEM_ASIDE, _HEM_LINES)
    lines = [axis + np.array((aside * skeleton.length, 0)) for aside in asides]
    seen = np.where(skeleton.before, Region.BACKGROUND, skeleton.parsing)
    labels = np.stack([skeleton.sample(seen, line, along) for line in lines])
    lower = np.isin(labels, (Region.SKIRT, Region.TROUSERS))
    return _end(along, (labels == Region.UPPER_CLOTHES) * 1.0, lower * 1.0) if lower.any() else None


def _trouser_leg(skeleton: Skeleton) -> float | None:
    along = np.linspace(*_LEG_ALONG, _SAMPLES)
    labels = np.stack([skeleton.sample(skeleton.parsing, leg.joints, along) for leg in skeleton.legs.values()])
    return _end(along, (labels == Region.TROUSERS) * 1.0, (labels == Region.SKIN) * 1.0)


def _skirt(skeleton: Skeleton) -> tuple[float | None, float | None]:
    """Where a skirt ends and how wide it is there."""
    skirt = skeleton.parsing == Region.SKIRT
    rows = np.flatnonzero(skirt.sum(1) > _ROW_OF_SKIRT * skeleton.hip_width)
    if not len(rows):
        return None, None
    levels = np.maximum.accumulate(skeleton.nearer_leg.joints[:, 1])
    reach = np.interp(rows[-1] + 1, levels, (0, 1, 2))
    columns = np.flatnonzero(skirt[rows[-1]])
    return float(reach), float((columns[-1] + 1 - columns[0]) / 2 / skeleton.hip_width)


def _move_sleeve(parsing: Labels, skeleton: Skeleton, arm: Bone, far: bool, old: float, new: float) -> None:
    """Lengthen or shorten the sleeve of one arm, in place."""
    start, end = min(old, new), max(old, new)
    zone = (arm.along <= end) & ((arm.along > start) | (start < _AT_SHOULDER))
    if new > old:
        skin = (parsing == Region.SKIN) & (arm.off <= _SKIN_OF_ARM)
        taken = skin | (parsing == Region.BACKGROUND) & (arm.off <= CLOTHED)
        if not far:
            taken |= np.isin(parsing, (Region.SKIRT, Region.TROUSERS)) & (arm.off <= CLOTHED)
        elif skeleton.legs:
            taken &= skeleton.nearer_leg.off > _BARE
        parsing[zone & taken] = Region.UPPER_CLOTHES
        return
    cloth = zone & (parsing == Region.UPPER_CLOTHES) & (arm.off <= _SLEEVE_OF_ARM)
    if far:
        cloth &= ~skeleton.trunk
    if not cloth.any():
        return
    # Around the bare arm there is now what lies nearest: trunk, lower garment or background.
    nearest = ndimage.distance_transform_edt(cloth, return_distances=False, return_indices=True)
    behind = parsing[tuple(nearest)]
    behind[~np.isin(behind, CLOTHING_REGIONS)] = Region.BACKGROUND
    parsing[cloth] = np.where(arm.off <= _BARE, Region.SKIN, behind)[cloth]


def _move_hem(parsing: Labels, skeleton: Skeleton, old: float, new: float) -> None:
    """Lengthen or shorten the upper garment over the lower one, in place."""
    along = (skeleton.y - skeleton.neck[1]) / skeleton.length
    zone = (along > min(old, new)) & (along <= max(old, new))
    lower = np.isin(parsing, (Region.SKIRT, Region.TROUSERS))
    if new > old:
        parsing[zone & lower] = Region.UPPER_CLOTHES
    else:
        cloth = zone & (parsing == Region.UPPER_CLOTHES) & skeleton.trunk & ~skeleton.before
        parsing[cloth] = np.bincount(parsing[lower]).argmax()


def _change_lower(
    parsing: Labels, skeleton: Skeleton, kind: str, reach: float, new_kind: str, new_reach: float, flare: float
) -> None:
    """Exchange, lengthen or shorten the lower garment, in place."""
    if kind == new_kind and abs(reach - new_reach) <= _SAME:
        return
    worn = 0.0 if kind == "skirt" else min(reach, new_reach)
    _bare_legs(parsing, skeleton, kind, worn)
    if new_kind == "skirt":
        _put_on_skirt(parsing, skeleton, new_reach, flare)
    else:
        _put_on_trousers(parsing, skeleton, worn, new_reach)


def _bare_legs(parsing: Labels, skeleton: Skeleton, kind: str, worn: float) -> None:
    """Take the lower garment off from where it shall no longer be `worn`, in place; all of a skirt but its waist."""
    leg = skeleton.nearer_leg
    garment = np.isin(parsing, (Region.SKIRT, Region.TROUSERS)) & ~skeleton.shoes
    below = garment & (skeleton.y > skeleton.hips[1] + _WAIST * skeleton.length)
    if kind == "skirt":
        flaring = np.abs(skeleton.x - skeleton.hips[0]) > skeleton.hip_width
        parsing[garment & ~below & flaring] = Region.BACKGROUND
    off = below & (leg.along > worn)
    parsing[off] = np.where(leg.off <= _BARE, Region.SKIN, Region.BACKGROUND)[off]


def _put_on_trousers(parsing: Labels, skeleton: Skeleton, worn: float, reach: float) -> None:
    """Make trousers of the lower garment that is `worn` and lengthen their legs, in place."""
    leg = skeleton.nearer_leg
    parsing[np.isin(parsing, (Region.SKIRT, Region.TROUSERS))] = Region.TROUSERS
    zone = (leg.along > worn) & (leg.along <= reach) & ~skeleton.before
    skin = (parsing == Region.SKIN) & (leg.off <= _SKIN_OF_LEG)
    parsing[zone & (skin | (parsing == Region.BACKGROUND) & (leg.off <= CLOTHED))] = Region.TROUSERS


def _put_on_skirt(parsing: Labels, skeleton: Skeleton, reach: float, flare: float) -> None:
    """Make a skirt of the lower garment and fill it down to its end, in place."""
    parsing[np.isin(parsing, (Region.SKIRT, Region.TROUSERS)) & ~skeleton.shoes] = Region.SKIRT
    top = skeleton.hips[1] - _WAIST * skeleton.length
    bottom = max(float(np.interp(reach, (0, 1, 2), skeleton.nearer_leg.joints[:, 1])), top + 1)
    half = np.interp(skeleton.y, (top, bottom), (1, flare)) * skeleton.hip_width
    inside = (skeleton.y > top) & (skeleton.y <= bottom) & (np.abs(skeleton.x - skeleton.hips[0]) <= half)
    parsing[inside & np.isin(parsing, (Region.BACKGROUND, Region.SKIN)) & ~skeleton.before] = Region.SKIRT
