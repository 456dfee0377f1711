"""The body behind a parsing: where its limbs and its trunk lie and how thick they are, from 18 joints."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from data.annotation import Annotation, Joint, Region

BACKGROUND, UPPER, SKIRT, TROUSERS, SKIN = (
    Region.BACKGROUND,
    Region.UPPER_CLOTHES,
    Region.SKIRT,
    Region.TROUSERS,
    Region.SKIN,
)
CLOTH = 1.2
"""Half width of a clothed limb, the bare one's being 1."""

Floats = npt.NDArray[np.floating[Any]]
Mask = npt.NDArray[np.bool_]

_Names = tuple[str, str, str]

_SIDES = ("right", "left")
_ARM, _LEG = ("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle")
# Half widths of bare limbs at their three joints, as shares of the trunk's length from the neck to between the hips.
_RADII = {_ARM: (0.105, 0.085, 0.07), _LEG: (0.165, 0.11, 0.075)}
_SHORTEST_TRUNK = 4  # pixels


@dataclass(frozen=True)
class Limb:
    """An arm (shoulder, elbow, wrist) or a leg (hip, knee, ankle), and where each pixel lies beside it.

    `bone`: the three joints (3, 2). `along`: (H, W), 0 level with the first joint, 1 with the second, 2 with the third,
    and on beyond both ends. `off`: (H, W), distance from the bone in half widths of the bare limb there.
    """

    bone: Floats
    along: Floats
    off: Floats


class Body:
    """What the joints and the parsing of a photo say about the body in it.

    `length` is that of the trunk in pixels, NaN where it cannot be seen: then only `usable` means anything. Limbs of
    which a joint is missing are left out.
    """

    def __init__(self, annotation: Annotation) -> None:
        self.parsing = annotation.parsing
        height, width = self.parsing.shape
        self.x = np.arange(width, dtype=np.float32)[None] + 0.5
        self.y = np.arange(height, dtype=np.float32)[:, None] + 0.5
        self._joints = {joint.title: annotation.joints[joint] for joint in Joint}
        self.neck = self._joints["neck"]
        hips = np.stack([self._joints[f"{side} hip"] for side in _SIDES])
        seen = hips[~np.isnan(hips[:, 0])]
        self.hips = seen.mean(0) if len(seen) else hips[0]
        self.length = float(self.hips[1] - self.neck[1])

    @property
    def usable(self) -> bool:
        """Whether the trunk is seen, upright, and not tiny."""
        return self.length >= _SHORTEST_TRUNK

    @cached_property
    def arms(self) -> dict[str, Limb]:
        """The arms by side, "right" and "left"."""
        return {side: self._limb(bone, _ARM) for side, bone in self._bones(_ARM).items()}

    @cached_property
    def legs(self) -> dict[str, Limb]:
        """The legs by side."""
        return {side: self._limb(bone, _LEG) for side, bone in self._bones(_LEG).items()}

    @cached_property
    def leg(self) -> Limb:
        """Of both legs, at each pixel the one that is nearer to it; the bone is the mean of theirs."""
        legs = list(self.legs.values())
        off = np.stack([leg.off for leg in legs])
        along = np.take_along_axis(np.stack([leg.along for leg in legs]), off.argmin(0)[None], 0)[0]
        return Limb(np.mean([leg.bone for leg in legs], 0), along, off.min(0))

    @cached_property
    def far(self) -> str | None:
        """The side turned away from the camera, whose arm is behind the trunk; None if that cannot be told.

        Told by the nose, by the ear that is hidden, or by the arm of which less skin shows.
        """
        nose = self._joints["nose"][0] - self.neck[0]
        if not np.isnan(nose):
            return "left" if nose > 0 else "right"
        hidden = [side for side in _SIDES if np.isnan(self._joints[f"{side} ear"][0])]
        if len(hidden) == 1:
            return hidden[0]
        along = np.linspace(0.3, 2, 30)
        bare = {
            side: float(np.mean(self.sample(self.parsing, bone, along) == SKIN))
            for side, bone in self._bones(_ARM).items()
        }
        less = min(bare, key=lambda side: bare[side], default=None)
        return less if less and max(bare.values()) - bare[less] > 0.2 else None

    @cached_property
    def before(self) -> Mask:
        """Where an arm is that may be before trunk and legs, down to its hand."""
        mask = np.zeros(self.parsing.shape, np.bool_)
        for side, arm in self.arms.items():
            if side != self.far:
                mask |= (arm.off < 1.1) & (arm.along < 2.3)
        return mask

    @cached_property
    def shoes(self) -> Mask:
        """Where shoes are: labelled as trousers, below the ankle."""
        ankles = [leg.bone[2, 1] - 0.03 * self.length for leg in self.legs.values()]
        nearer = np.stack([leg.off for leg in self.legs.values()]).argmin(0)
        return (self.parsing == TROUSERS) & (self.y > np.take(ankles, nearer))

    @cached_property
    def build(self) -> float:
        """How thick the limbs are, 1 being usual: from how far inside the person's outline their bones lie."""
        inside = ndimage.distance_transform_edt(self.parsing != BACKGROUND)
        along = np.linspace(0.3, 1.8, 30)
        ratios = [np.ones(0)]
        for names in (_ARM, _LEG):
            for bone in self._bones(names).values():
                labels, depth = self.sample(self.parsing, bone, along), self.sample(inside, bone, along) - 0.25
                bare = np.interp(along, (0, 1, 2), _RADII[names]) * self.length
                ratio = depth / bare / np.where(labels == SKIN, 1, CLOTH)
                # Beyond 1.6 the limb lies over the trunk and its own outline is not seen.
                ratios.append(ratio[np.isin(labels, (UPPER, TROUSERS, SKIN)) & (ratio < 1.6)])
        pooled = np.concatenate(ratios)
        return float(np.median(pooled).clip(0.7, 1.4)) if len(pooled) else 1.0

    @cached_property
    def trunk(self) -> Mask:
        """Where the trunk is, from the neck to the crotch, without arms beside it.

        Its edges are seen in rows where cloth ends away from an arm. Where one is not, the other is mirrored; where
        neither is, both go straight from one seen row to the next, and to the hips.
        """
        rows = np.flatnonzero((self.y[:, 0] > self.neck[1]) & (self.y[:, 0] < self.hips[1] + 0.1 * self.length))
        axis = np.interp(self.y[rows, 0], (self.neck[1], self.hips[1]), (self.neck[0], self.hips[0]))
        halves = np.stack([self._half_widths(rows, axis, side) for side in (-1, 1)])
        halves = np.where(np.isnan(halves), halves[::-1], halves)
        halves[np.isnan(halves) & (self.y[rows, 0] > self.hips[1])] = self.hip_width
        shoulders = [float(abs(arm.bone[0, 0] - self.neck[0])) for arm in self.arms.values()]
        top = max([*shoulders, 0.2 * self.length]) + 0.05 * self.length
        mask = np.zeros(self.parsing.shape, np.bool_)
        for side, half in zip((-1, 1), halves, strict=True):
            seen = ~np.isnan(half)
            heights = np.append(self.neck[1] + 0.08 * self.length, self.y[rows[seen], 0])
            edge = np.interp(self.y[rows, 0], heights, np.append(top, half[seen]))
            aside = side * (self.x - axis[:, None])
            mask[rows] |= (aside >= -0.5) & (aside <= edge[:, None])
        return mask

    def _half_widths(self, rows: npt.NDArray[np.intp], axis: Floats, side: int) -> Floats:
        """How far cloth goes on from the trunk's axis to one side (-1 or 1) in each row; NaN if an arm is there."""
        cloth = np.isin(self.parsing, (UPPER, SKIRT, TROUSERS))
        width = cloth.shape[1]
        columns = np.floor(axis[:, None] + side * np.arange(width)).astype(int)
        inside = (columns >= 0) & (columns < width)
        columns = columns.clip(0, width - 1)
        run = cloth[rows[:, None], columns] & inside
        steps = np.where(run.all(1), width, run.argmin(1))
        last = rows, columns[np.arange(len(rows)), (steps - 1).clip(0)]
        hidden = steps < 2
        for arm in self.arms.values():
            hidden |= (arm.off[last] < 1.5) & (arm.along[last] < 2.3)
        return np.where(hidden, np.nan, side * (last[1] + (side + 1) / 2 - axis))

    @cached_property
    def hip_width(self) -> float:
        """Half width of the body at the hips, in pixels: of the lower garment about there."""
        rows = np.abs(self.y[:, 0] - self.hips[1]) < max(0.15 * self.length, 1)
        lower = np.isin(self.parsing[rows], (SKIRT, TROUSERS))
        lower = lower[lower.any(1)]
        left, right = lower.argmax(1), lower.shape[1] - lower[:, ::-1].argmax(1)
        # An arm before one edge hides it: the other one counts.
        widths = np.maximum(self.hips[0] - left, right - self.hips[0])
        return max(float(np.median(widths)) if len(widths) else 0.0, 0.2 * self.length)

    def sample(self, values: npt.NDArray[Any], bone: Floats, along: Floats) -> npt.NDArray[Any]:
        """Values of a map (H, W) at places along a bone, straight on beyond its ends; 0 outside the photo."""
        part = (along > 1).astype(int)
        x, y = (bone[part] + (along - part)[:, None] * np.diff(bone, axis=0)[part]).T
        height, width = values.shape
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        found = values[y.clip(0, height - 1).astype(int), x.clip(0, width - 1).astype(int)]
        return np.where(inside, found, 0)

    def _bones(self, names: _Names) -> dict[str, Floats]:
        bones = {side: np.stack([self._joints[f"{side} {name}"] for name in names]) for side in _SIDES}
        return {side: bone for side, bone in bones.items() if not np.isnan(bone).any()}

    def _limb(self, bone: Floats, names: _Names) -> Limb:
        shares, distances = [], []
        for (x, y), (right, down) in zip(bone[:2], np.diff(bone, axis=0), strict=True):
            share = ((self.x - x) * right + (self.y - y) * down) / max(right**2 + down**2, 1)
            on_bone = share.clip(0, 1)
            shares.append(share)
            distances.append(np.hypot(self.x - x - on_bone * right, self.y - y - on_bone * down))
        along = np.where(distances[0] <= distances[1], shares[0].clip(max=1), 1 + shares[1].clip(min=0))
        radius = np.interp(along, (0, 1, 2), _RADII[names]) * (self.length * self.build)
        return Limb(bone, along, (np.minimum(*distances) / radius).astype(np.float32))
