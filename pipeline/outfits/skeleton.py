"""The skeleton behind a parsing: where limbs and trunk lie and how thick they are, from 18 joints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from data.annotation import CLOTHING_REGIONS, Annotation, Joint, Region

Floats = npt.NDArray[np.floating[Any]]
Mask = npt.NDArray[np.bool_]

# Numbers without another source were found by trying on walkers. Lengths are shares of the trunk's, from the neck to
# between the hips; places along a limb count 0 at its first joint, 1 at its second, 2 at its third.

CLOTHED = 1.2
"""Half width of a clothed limb, the bare one's being 1."""

# Half widths of bare limbs at their three joints.
_ARM_RADII = (0.105, 0.085, 0.07)
_LEG_RADII = (0.165, 0.11, 0.075)
# Below so many pixels the labels along a trunk say nothing.
_SHORTEST_TRUNK = 4

# A bare arm, from well below the shoulder to the wrist; by so much more skin than the other it must show to be the
# near one.
_BARE_ARM, _BARE_ARM_SAMPLES = (0.3, 2), 30
_CLEARLY_BARER = 0.2

# A hand reaches so far beyond its wrist, and an arm is so wide where it may hide what is behind it.
_FINGERTIPS = 2.3
_HIDING = 1.1
# Shoes begin a little above the ankle's joint.
_SHOE_ABOVE_ANKLE = 0.03

# Build is read off the middle of the limbs, where no hand, foot or trunk is near. The distance transform reaches to the
# centre of the nearest pixel outside; the border lies nearer by about so much of a pixel.
_BUILD_ALONG, _BUILD_SAMPLES = (0.3, 1.8), 30
_CENTRE_TO_BORDER = 0.25
# Beyond this ratio the limb lies over the trunk and its own outline is not seen.
_LIMB_OVER_TRUNK = 1.6
# However a parsing has it, nobody is thinner or thicker than this.
_THINNEST, _THICKEST = 0.7, 1.4

# The trunk ends so far below the hips' joints, at the crotch. Its shoulders begin so far below the neck's joint, reach
# so far beyond the shoulders' joints, and those lie at least so far from the neck.
_CROTCH_BELOW_HIPS = 0.1
_SHOULDERS_BELOW_NECK = 0.08
_SHOULDERS_BEYOND_JOINTS = 0.05
_NARROWEST_SHOULDERS = 0.2
# An edge of cloth this near to an arm (in half widths of the arm) is the arm's, not the trunk's; an edge after fewer
# pixels than these is that of something before the axis.
_EDGE_OF_ARM = 1.5
_FEWEST_PIXELS_TO_EDGE = 2

# Rows this near to the hips' joints, and one pixel at least, tell the width there; hips are never narrower than this.
_ROWS_OF_HIPS = 0.15
_NARROWEST_HIPS = 0.2


class _Kind(NamedTuple):
    """Arms or legs: the three joints of each side, and the half widths there."""

    joints: Mapping[str, tuple[Joint, Joint, Joint]]
    radii: tuple[float, float, float]


_ARM = _Kind(
    {
        "right": (Joint.RIGHT_SHOULDER, Joint.RIGHT_ELBOW, Joint.RIGHT_WRIST),
        "left": (Joint.LEFT_SHOULDER, Joint.LEFT_ELBOW, Joint.LEFT_WRIST),
    },
    _ARM_RADII,
)
_LEG = _Kind(
    {
        "right": (Joint.RIGHT_HIP, Joint.RIGHT_KNEE, Joint.RIGHT_ANKLE),
        "left": (Joint.LEFT_HIP, Joint.LEFT_KNEE, Joint.LEFT_ANKLE),
    },
    _LEG_RADII,
)
_EARS = {"right": Joint.RIGHT_EAR, "left": Joint.LEFT_EAR}


@dataclass(frozen=True)
class Bone:
    """An arm (shoulder, elbow, wrist) or a leg (hip, knee, ankle), and where each pixel lies beside it.

    Attributes:
        joints: (3, 2), x and y.
        along: (H, W), 0 level with the first joint, 1 with the second, 2 with the third, and on beyond both ends.
        off: (H, W), distance from the bone in half widths of the bare limb there.
    """

    joints: Floats
    along: Floats
    off: Floats


class Skeleton:
    """What the joints and the parsing of a photo say about the person in it; x and y are in pixels.

    `length` is that of the trunk in pixels, NaN where it cannot be seen: then only `usable` means anything. Limbs of
    which a joint is missing are left out.
    """

    def __init__(self, annotation: Annotation) -> None:
        self.parsing = annotation.parsing
        height, width = self.parsing.shape
        self.x = np.arange(width, dtype=np.float32)[None] + 0.5
        self.y = np.arange(height, dtype=np.float32)[:, None] + 0.5
        self._joints = annotation.joints
        self.neck = annotation.joints[Joint.NECK]
        hips = annotation.joints[[Joint.RIGHT_HIP, Joint.LEFT_HIP]]
        seen = hips[~np.isnan(hips[:, 0])]
        self.hips = seen.mean(0) if len(seen) else hips[0]
        self.length = float(self.hips[1] - self.neck[1])

    @property
    def usable(self) -> bool:
        """Whether the trunk is seen, upright, and not tiny."""
        return self.length >= _SHORTEST_TRUNK

    @cached_property
    def arms(self) -> dict[str, Bone]:
        """The arms by side, "right" and "left"."""
        return {side: self._bone(joints, _ARM) for side, joints in self._seen(_ARM).items()}

    @cached_property
    def legs(self) -> dict[str, Bone]:
        """The legs by side."""
        return {side: self._bone(joints, _LEG) for side, joints in self._seen(_LEG).items()}

    @cached_property
    def nearer_leg(self) -> Bone:
        """Of both legs, at each pixel the one that is nearer to it; the joints are the means of theirs."""
        legs = list(self.legs.values())
        off = np.stack([leg.off for leg in legs])
        along = np.take_along_axis(np.stack([leg.along for leg in legs]), off.argmin(0)[None], 0)[0]
        return Bone(np.mean([leg.joints for leg in legs], 0), along, off.min(0))

    @cached_property
    def far(self) -> str | None:
        """The side turned away from the camera, whose arm is behind the trunk; None if that cannot be told.

        Told by the nose, by the ear that is hidden, or by the arm of which less skin shows.
        """
        nose = self._joints[Joint.NOSE, 0] - self.neck[0]
        if not np.isnan(nose):
            return "left" if nose > 0 else "right"
        hidden = [side for side, ear in _EARS.items() if np.isnan(self._joints[ear, 0])]
        if len(hidden) == 1:
            return hidden[0]
        along = np.linspace(*_BARE_ARM, _BARE_ARM_SAMPLES)
        bare = {
            side: float(np.mean(self.sample(self.parsing, joints, along) == Region.SKIN))
            for side, joints in self._seen(_ARM).items()
        }
        less = min(bare, key=lambda side: bare[side], default=None)
        return less if less and max(bare.values()) - bare[less] > _CLEARLY_BARER else None

    @cached_property
    def before(self) -> Mask:
        """Where an arm is that may be before trunk and legs, down to its hand."""
        mask = np.zeros(self.parsing.shape, np.bool_)
        for side, arm in self.arms.items():
            if side != self.far:
                mask |= (arm.off < _HIDING) & (arm.along < _FINGERTIPS)
        return mask

    @cached_property
    def shoes(self) -> Mask:
        """Where shoes are: labelled as trousers, below the ankle."""
        ankles = [leg.joints[2, 1] - _SHOE_ABOVE_ANKLE * self.length for leg in self.legs.values()]
        nearer = np.stack([leg.off for leg in self.legs.values()]).argmin(0)
        return (self.parsing == Region.TROUSERS) & (self.y > np.take(ankles, nearer))

    @cached_property
    def build(self) -> float:
        """How thick the limbs are, 1 being usual: from how far inside the person's outline their bones lie."""
        inside = ndimage.distance_transform_edt(self.parsing != Region.BACKGROUND)
        along = np.linspace(*_BUILD_ALONG, _BUILD_SAMPLES)
        ratios = [np.ones(0)]
        for kind in (_ARM, _LEG):
            for joints in self._seen(kind).values():
                labels = self.sample(self.parsing, joints, along)
                depth = self.sample(inside, joints, along) - _CENTRE_TO_BORDER
                bare = np.interp(along, (0, 1, 2), kind.radii) * self.length
                ratio = depth / bare / np.where(labels == Region.SKIN, 1, CLOTHED)
                limb = np.isin(labels, (Region.UPPER_CLOTHES, Region.TROUSERS, Region.SKIN))
                ratios.append(ratio[limb & (ratio < _LIMB_OVER_TRUNK)])
        pooled = np.concatenate(ratios)
        return float(np.median(pooled).clip(_THINNEST, _THICKEST)) if len(pooled) else 1.0

    @cached_property
    def trunk(self) -> Mask:
        """Where the trunk is, from the neck to the crotch, without arms beside it.

        Its edges are seen in rows where cloth ends away from an arm. Where one is not, the other is mirrored; where
        neither is, both go straight from one seen row to the next, and to the hips.
        """
        crotch = self.hips[1] + _CROTCH_BELOW_HIPS * self.length
        rows = np.flatnonzero((self.y[:, 0] > self.neck[1]) & (self.y[:, 0] < crotch))
        axis = np.interp(self.y[rows, 0], (self.neck[1], self.hips[1]), (self.neck[0], self.hips[0]))
        halves = np.stack([self._half_widths(rows, axis, side) for side in (-1, 1)])
        halves = np.where(np.isnan(halves), halves[::-1], halves)
        halves[np.isnan(halves) & (self.y[rows, 0] > self.hips[1])] = self.hip_width
        joints = [float(abs(arm.joints[0, 0] - self.neck[0])) for arm in self.arms.values()]
        shoulders = max([*joints, _NARROWEST_SHOULDERS * self.length]) + _SHOULDERS_BEYOND_JOINTS * self.length
        mask = np.zeros(self.parsing.shape, np.bool_)
        for side, half in zip((-1, 1), halves, strict=True):
            seen = ~np.isnan(half)
            heights = np.append(self.neck[1] + _SHOULDERS_BELOW_NECK * self.length, self.y[rows[seen], 0])
            edge = np.interp(self.y[rows, 0], heights, np.append(shoulders, half[seen]))
            aside = side * (self.x - axis[:, None])
            # Both sides take the pixel that the axis runs through.
            mask[rows] |= (aside >= -0.5) & (aside <= edge[:, None])
        return mask

    def _half_widths(self, rows: npt.NDArray[np.intp], axis: Floats, side: int) -> Floats:
        """How far cloth goes on from the trunk's axis to one side (-1 or 1) in each row; NaN if an arm is there."""
        cloth = np.isin(self.parsing, CLOTHING_REGIONS)
        width = cloth.shape[1]
        columns = np.floor(axis[:, None] + side * np.arange(width)).astype(int)
        inside = (columns >= 0) & (columns < width)
        columns = columns.clip(0, width - 1)
        run = cloth[rows[:, None], columns] & inside
        steps = np.where(run.all(1), width, run.argmin(1))
        last = rows, columns[np.arange(len(rows)), (steps - 1).clip(0)]
        hidden = steps < _FEWEST_PIXELS_TO_EDGE
        for arm in self.arms.values():
            hidden |= (arm.off[last] < _EDGE_OF_ARM) & (arm.along[last] < _FINGERTIPS)
        return np.where(hidden, np.nan, side * (last[1] + (side + 1) / 2 - axis))

    @cached_property
    def hip_width(self) -> float:
        """Half width of the body at the hips, in pixels: of the lower garment about there."""
        rows = np.abs(self.y[:, 0] - self.hips[1]) < max(_ROWS_OF_HIPS * self.length, 1)
        lower = np.isin(self.parsing[rows], (Region.SKIRT, Region.TROUSERS))
        lower = lower[lower.any(1)]
        left, right = lower.argmax(1), lower.shape[1] - lower[:, ::-1].argmax(1)
        # An arm before one edge hides it: the other one counts.
        widths = np.maximum(self.hips[0] - left, right - self.hips[0])
        return max(float(np.median(widths)) if len(widths) else 0.0, _NARROWEST_HIPS * self.length)

    def sample(self, values: npt.NDArray[Any], joints: Floats, along: Floats) -> npt.NDArray[Any]:
        """Values of a map (H, W) at places `along` three joints (3, 2), straight on beyond both ends.

        Outside the photo they are 0.
        """
        part = (along > 1).astype(int)
        x, y = (joints[part] + (along - part)[:, None] * np.diff(joints, axis=0)[part]).T
        height, width = values.shape
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        found = values[y.clip(0, height - 1).astype(int), x.clip(0, width - 1).astype(int)]
        return np.where(inside, found, 0)

    def _seen(self, kind: _Kind) -> dict[str, Floats]:
        """The three joints (3, 2) of each limb of a kind of which none is missing, by side."""
        limbs = {side: self._joints[list(joints)] for side, joints in kind.joints.items()}
        return {side: joints for side, joints in limbs.items() if not np.isnan(joints).any()}

    def _bone(self, joints: Floats, kind: _Kind) -> Bone:
        shares, distances = [], []
        for (x, y), (right, down) in zip(joints[:2], np.diff(joints, axis=0), strict=True):
            share = ((self.x - x) * right + (self.y - y) * down) / max(right**2 + down**2, 1)
            on_bone = share.clip(0, 1)
            shares.append(share)
            distances.append(np.hypot(self.x - x - on_bone * right, self.y - y - on_bone * down))
        along = np.where(distances[0] <= distances[1], shares[0].clip(max=1), 1 + shares[1].clip(min=0))
        radius = np.interp(along, (0, 1, 2), kind.radii) * (self.length * self.build)
        return Bone(joints, along, (np.minimum(*distances) / radius).astype(np.float32))
