"""A walker's body in space: where its joints are, how wide its trunk is, and where both fall in the picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data.annotation import Joint
from data.walkers.camera import Shot
from data.walkers.person import Identity, Outfit

Point = tuple[float, float]
"""A place in the picture, in pixels: right and down."""

Place = tuple[float, float, float]
"""A place in space in body heights: to the person's left, up from the ground, forward."""

LEFT, RIGHT = 1, -1


@dataclass(frozen=True)
class Limb:
    """An arm (shoulder, elbow, wrist) or a leg (hip, knee, ankle)."""

    upper: Place
    middle: Place
    end: Place


@dataclass(frozen=True)
class Body:
    """A posed body seen by a camera. Sizes in space are in body heights, `scale` pixels each."""

    identity: Identity
    yaw: float
    scale: float
    feet: Point  # in the picture, between the feet
    legs: dict[int, Limb]
    arms: dict[int, Limb]
    shoulder_height: float
    # The trunk from its lower end upwards: heights, half widths as seen, and how far the middle stands forward.
    trunk_heights: npt.NDArray[np.float64]
    trunk_widths: npt.NDArray[np.float64]
    trunk_forward: npt.NDArray[np.float64]

    @property
    def facing(self) -> float:
        """Cosine of the turn: 1 from the front, 0 from the side, -1 from behind."""
        return math.cos(self.yaw)

    @property
    def sideways(self) -> float:
        """Sine of the turn: how far what is in front of the body moves to the right of the picture."""
        return math.sin(self.yaw)

    @property
    def face_shows(self) -> bool:
        """Whether the camera sees the face rather than the back of the head."""
        return self.facing > -0.25

    def project(self, place: Place) -> Point:
        """Where a place in space falls in the picture (parallel projection, the trunk leaning as the person does)."""
        left, up, forward = place
        lean = self.identity.lean * self.sideways * up * 0.6
        right = left * self.facing + forward * self.sideways + lean
        return self.feet[0] + self.scale * right, self.feet[1] - self.scale * up

    def nearness(self, side: int) -> float:
        """How near to the camera the body's `side` is, compared with its middle."""
        return -side * self.sideways

    def seen_width(self, across: float, deep: float) -> float:
        """Half width, as seen, of an elliptic cylinder with half axes `across` and `deep`."""
        return math.hypot(across * self.facing, deep * self.sideways)

    def trunk_edge(self, height: float, where: float) -> Point:
        """A point of the trunk at `height`; `where` runs from -1 (left edge in the picture) to 1 (right edge)."""
        width = float(np.interp(height, self.trunk_heights, self.trunk_widths))
        forward = float(np.interp(height, self.trunk_heights, self.trunk_forward))
        middle = self.project((0.0, height, forward))
        return middle[0] + where * width * self.scale, middle[1]

    @property
    def head_centre(self) -> Point:
        """The middle of the head in the picture."""
        return self.project((0.0, 1 - self.identity.head / 2, 0.012))

    @property
    def head_radii(self) -> Point:
        """Half width and half height of the head, in pixels."""
        half = self.identity.head / 2 * self.scale
        return half * self.identity.head_aspect * (1 + 0.1 * abs(self.sideways)), half

    def joints(self) -> npt.NDArray[np.float32]:
        """The 18 joints in the picture, float32 (18, 2); those of the face that cannot be seen are NaN."""
        found: dict[Joint, Point] = {Joint.NECK: self.project((0.0, self.shoulder_height, 0.0))}
        for side, name in ((RIGHT, "RIGHT"), (LEFT, "LEFT")):
            arm, leg = self.arms[side], self.legs[side]
            for joint, place in (
                ("SHOULDER", arm.upper), ("ELBOW", arm.middle), ("WRIST", arm.end),
                ("HIP", leg.upper), ("KNEE", leg.middle), ("ANKLE", leg.end),
            ):  # fmt: skip
                found[Joint[f"{name}_{joint}"]] = self.project(place)
        (x, y), (half_width, half_height) = self.head_centre, self.head_radii
        if self.face_shows:
            found[Joint.NOSE] = (x + self.sideways * half_width * 0.8, y + half_height * 0.1)
        for side, name in ((RIGHT, "RIGHT"), (LEFT, "LEFT")):
            if self.eye_shows(side):
                found[Joint[f"{name}_EYE"]] = self.eye(side)
            if self.nearness(side) > -0.5:
                found[Joint[f"{name}_EAR"]] = (x + side * self.facing * half_width, y)
        return np.array([found.get(joint, (np.nan, np.nan)) for joint in Joint], dtype=np.float32)

    def eye_shows(self, side: int) -> bool:
        """Whether the eye on `side` can be seen."""
        return self.face_shows and (self.facing > 0.2 or self.nearness(side) > 0)

    def eye(self, side: int) -> Point:
        """The eye on `side` in the picture."""
        (x, y), (half_width, _) = self.head_centre, self.head_radii
        return x + half_width * (0.55 * self.sideways + side * 0.45 * max(0.25, self.facing)), y


def pose_body(identity: Identity, outfit: Outfit, shot: Shot, height: int, width: int) -> Body:
    """The body of a person in `shot`, in a picture of `height` x `width`. Clothes widen the trunk."""
    scale = 0.86 * (1 + identity.height) / 2 * shot.zoom * height
    feet = (width / 2 + shot.shift[0] * height, height / 2 + scale / 2 + shot.shift[1] * height)
    shoulder_height = 1 - identity.head - identity.neck
    heights, across, deep, forward = _trunk(identity, outfit, shoulder_height)
    facing, sideways = math.cos(shot.yaw), math.sin(shot.yaw)
    return Body(
        identity=identity,
        yaw=shot.yaw,
        scale=scale,
        feet=feet,
        legs={side: _leg(identity, shot, side) for side in (LEFT, RIGHT)},
        arms={side: _arm(identity, shot, side, shoulder_height) for side in (LEFT, RIGHT)},
        shoulder_height=shoulder_height,
        trunk_heights=heights,
        trunk_widths=np.hypot(across * facing, deep * sideways),
        trunk_forward=forward,
    )


def _swing(shot: Shot, side: int) -> float:
    """Where the leg on `side` is in its swing, -1 to 1; the arm on that side does the opposite."""
    return math.sin(shot.phase + (0 if side == LEFT else math.pi)) * shot.swing


def _leg(identity: Identity, shot: Shot, side: int) -> Limb:
    angle = _swing(shot, side) * identity.stride
    shin_angle = angle - max(0.0, -angle) * 0.9
    sideways, length = side * identity.hip * 0.52, identity.leg
    knee = (sideways, length * (1 - 0.5 * math.cos(angle)), length * 0.5 * math.sin(angle))
    ankle = (
        sideways,
        knee[1] - length * 0.46 * math.cos(shin_angle),
        knee[2] + length * 0.46 * math.sin(shin_angle),
    )
    return Limb((sideways, length, 0.0), knee, ankle)


def _arm(identity: Identity, shot: Shot, side: int, shoulder_height: float) -> Limb:
    angle = -_swing(shot, side) * identity.stride * 0.9
    half, spread = identity.arm / 2, identity.arm_spread
    shoulder = (side * (identity.shoulder - identity.limb / 2), shoulder_height - 0.025, 0.0)
    elbow = (
        shoulder[0] + side * math.sin(spread) * half,
        shoulder[1] - half * math.cos(angle),
        half * math.sin(angle),
    )
    wrist = (
        elbow[0] + side * math.sin(spread * 0.3) * half,
        elbow[1] - half * math.cos(angle + 0.25),
        elbow[2] + half * math.sin(angle + 0.25),
    )
    return Limb(shoulder, elbow, wrist)


def _trunk(identity: Identity, outfit: Outfit, shoulder_height: float) -> tuple[npt.NDArray[np.float64], ...]:
    """Heights of the trunk from the crotch to the neck, with half width, half depth and forward shift at each."""
    loose, leg, belly = outfit.looseness, identity.leg, identity.belly
    waist_height = leg + 0.42 * (shoulder_height - leg)
    waist = (identity.shoulder + identity.hip) / 2 * 0.9 * identity.waist
    rows = (
        (leg - 0.03, identity.hip + loose * 1.2, identity.hip * 0.8 + loose, 0.0),
        (leg + 0.02, identity.hip + loose, identity.hip * 0.8 + belly * 0.4 + loose, belly * 0.5),
        (waist_height, waist + loose, waist * identity.depth + belly * 0.6 + loose, belly * 0.8),
        (shoulder_height - 0.035, identity.shoulder + loose * 0.6, identity.shoulder * identity.depth, 0.0),
        (shoulder_height, identity.shoulder * 0.8 + loose * 0.3, identity.shoulder * 0.45, 0.0),
    )
    heights, across, deep, forward = np.array(rows).T
    return heights, across, deep, forward
