"""Drawing a walker: every shape goes to the picture in its colour and to the parsing map in its region."""

from __future__ import annotations

import math

from PIL import Image, ImageDraw

from data.annotation import Region
from data.walkers.body import LEFT, RIGHT, Body, Point
from data.walkers.person import Colour, Outfit

_DARK: Colour = (30, 25, 25)
_FAR_SIDE, _NEAR_SIDE = 0.86, 1.04  # light on a limb behind or before the trunk


class Drawing:
    """A picture and its parsing map, drawn on together. Coordinates are pixels of the picture."""

    def __init__(self, picture: Image.Image) -> None:
        self.picture = picture
        self.parsing = Image.new("L", picture.size, 0)
        self._paint = ImageDraw.Draw(picture)
        self._label = ImageDraw.Draw(self.parsing)

    def polygon(self, points: list[Point], colour: Colour, region: int) -> None:
        """A filled polygon."""
        self._paint.polygon(points, fill=_whole(colour))
        self._label.polygon(points, fill=region)

    def ellipse(self, centre: Point, radii: Point, colour: Colour, region: int) -> None:
        """A filled upright ellipse."""
        box = _box(centre, radii)
        self._paint.ellipse(box, fill=_whole(colour))
        self._label.ellipse(box, fill=region)

    def slice(self, centre: Point, radii: Point, degrees: Point, colour: Colour, region: int, chord: bool) -> None:
        """A part of an ellipse between two angles (degrees, clockwise from the right), cut by a chord or not."""
        box = _box(centre, radii)
        for pencil, fill in ((self._paint, _whole(colour)), (self._label, region)):
            (pencil.chord if chord else pencil.pieslice)(box, degrees[0], degrees[1], fill=fill)

    def ring(self, centre: Point, radius: float, colour: Colour) -> None:
        """A circle's outline, of no region of its own."""
        self._paint.ellipse(_box(centre, (radius, radius)), outline=_whole(colour), width=max(1, int(radius * 0.45)))

    def tube(self, start: Point, end: Point, radii: Point, colour: Colour, region: int) -> None:
        """A limb with round ends, `radii` wide at its start and its end."""
        along, down = end[0] - start[0], end[1] - start[1]
        length = math.hypot(along, down) + 1e-6
        across, up = -down / length, along / length
        corners = [
            (point[0] + sign * across * radius, point[1] + sign * up * radius)
            for sign, ends in ((1, ((start, radii[0]), (end, radii[1]))), (-1, ((end, radii[1]), (start, radii[0]))))
            for point, radius in ends
        ]
        self.polygon(corners, colour, region)
        self.ellipse(start, (radii[0], radii[0]), colour, region)
        self.ellipse(end, (radii[1], radii[1]), colour, region)


def draw_figure(drawing: Drawing, body: Body, outfit: Outfit) -> None:
    """Draw a posed and dressed person, what is behind first."""
    far, near = sorted((LEFT, RIGHT), key=body.nearness)
    _draw_arm(drawing, body, outfit, far)
    for side in (far, near):
        _draw_leg(drawing, body, outfit, side)
    _draw_trunk(drawing, body, outfit)
    _draw_head(drawing, body, outfit)
    _draw_arm(drawing, body, outfit, near)


def _draw_leg(drawing: Drawing, body: Body, outfit: Outfit, side: int) -> None:
    leg = body.legs[side]
    hip, knee, ankle = (body.project(place) for place in (leg.upper, leg.middle, leg.end))
    light = _FAR_SIDE if body.nearness(side) < -0.1 else 1.0
    skin, cloth = _lit(body.identity.skin, light), _lit(outfit.lower, light)
    radius, loose = body.identity.limb * 1.25 * body.scale, outfit.leg_looseness * body.scale
    drawing.tube(knee, ankle, (radius * 0.8, radius * 0.55), skin, Region.SKIN)
    drawing.tube(hip, knee, (radius * 1.25, radius * 0.8), skin, Region.SKIN)
    if outfit.lower_kind == "trousers":
        drawing.tube(knee, ankle, (radius * 0.85 + loose, radius * 0.65 + loose), cloth, Region.TROUSERS)
    if outfit.lower_kind != "skirt":
        drawing.tube(hip, knee, (radius * 1.3 + loose, radius * 0.88 + loose), cloth, Region.TROUSERS)
    heel = (ankle[0], ankle[1] + 0.018 * body.scale)
    toe = body.project((leg.end[0], leg.end[1] - 0.022, leg.end[2] + 0.06))
    drawing.tube(heel, toe, (0.024 * body.scale, 0.018 * body.scale), _lit(outfit.shoe, light), Region.TROUSERS)


def _draw_arm(drawing: Drawing, body: Body, outfit: Outfit, side: int) -> None:
    arm = body.arms[side]
    shoulder, elbow, wrist = (body.project(place) for place in (arm.upper, arm.middle, arm.end))
    light = _FAR_SIDE if body.nearness(side) < -0.1 else _NEAR_SIDE
    skin, cloth = _lit(body.identity.skin, light), _lit(outfit.upper, light)
    radius, loose = body.identity.limb * body.scale, outfit.looseness * 0.6 * body.scale
    drawing.tube(elbow, wrist, (radius * 0.8, radius * 0.6), skin, Region.SKIN)
    drawing.tube(shoulder, elbow, (radius, radius * 0.8), skin, Region.SKIN)
    drawing.ellipse(wrist, (radius * 0.75, radius * 0.85), skin, Region.SKIN)
    if outfit.sleeve == "long":
        drawing.tube(elbow, wrist, (radius * 0.85 + loose, radius * 0.7 + loose), cloth, Region.UPPER_CLOTHES)
    if outfit.sleeve != "none":
        drawing.tube(shoulder, elbow, (radius * 1.05 + loose, radius * 0.9 + loose), cloth, Region.UPPER_CLOTHES)


def _draw_trunk(drawing: Drawing, body: Body, outfit: Outfit) -> None:
    identity, top = body.identity, body.shoulder_height
    lower_region = Region.SKIRT if outfit.lower_kind == "skirt" else Region.TROUSERS
    _panel(drawing, body, identity.leg + 0.08, identity.leg - 0.03, (-1, 1), outfit.lower, lower_region)
    if outfit.lower_kind == "skirt":
        knee = body.project((0.0, identity.leg * 0.52, 0.0))
        half = body.seen_width(identity.hip * 1.45, identity.hip * 1.2) * body.scale
        waist = [body.trunk_edge(identity.leg + 0.04, where) for where in (-1, 1)]
        drawing.polygon([*waist, (knee[0] + half, knee[1]), (knee[0] - half, knee[1])], outfit.lower, Region.SKIRT)
    hem = max(identity.leg - 0.03, identity.leg + 0.035 - outfit.hem)
    _panel(drawing, body, top, hem, (-1, 1), outfit.upper, Region.UPPER_CLOTHES)
    if outfit.pattern == "stripes":
        step = (top - hem) / outfit.stripes
        for stripe in range(outfit.stripes):
            start = top - (stripe + 0.5) * step
            _panel(drawing, body, start, start - 0.45 * step, (-1, 1), outfit.accent, Region.UPPER_CLOTHES)
    if outfit.pattern == "panel" and body.facing > 0:
        middle = 0.5 * body.sideways
        _panel(drawing, body, top, hem, (middle - 0.28, middle + 0.28), outfit.accent, Region.UPPER_CLOTHES)
    if outfit.pattern == "print" and body.facing > 0:
        centre = body.project((0.0, top + (hem - top) * 0.35, 0.05))
        radii = (max(0.01, body.facing * 0.05) * body.scale, 0.045 * body.scale)
        drawing.ellipse(centre, radii, outfit.accent, Region.UPPER_CLOTHES)


def _panel(drawing: Drawing, body: Body, top: float, bottom: float, sides: Point, colour: Colour, region: int) -> None:
    """The part of the trunk between two heights and two places across it."""
    between = [height for height in body.trunk_heights[::-1].tolist() if bottom < height < top]
    heights = [top, *between, bottom]
    left, right = ([body.trunk_edge(height, side) for height in heights] for side in sides)
    drawing.polygon(left + right[::-1], colour, region)


def _draw_head(drawing: Drawing, body: Body, outfit: Outfit) -> None:
    identity, scale = body.identity, body.scale
    throat = body.project((0.0, body.shoulder_height - 0.01, 0.0))
    chin = body.project((0.0, 1 - identity.head * 0.8, 0.012))
    drawing.tube(throat, chin, (0.03 * scale, 0.028 * scale), _lit(identity.skin, 0.93), Region.SKIN)
    if outfit.hood:
        nape = body.project((0.0, body.shoulder_height + 0.005, -0.01))
        drawing.ellipse(nape, (0.05 * scale, 0.022 * scale), _lit(outfit.upper, 0.9), Region.UPPER_CLOTHES)
    if body.face_shows:
        _draw_hair_behind(drawing, body)
        drawing.ellipse(body.head_centre, body.head_radii, identity.skin, Region.FACE)
        _draw_face(drawing, body)
        _draw_fringe(drawing, body)
    else:
        drawing.ellipse(body.head_centre, body.head_radii, identity.skin, Region.SKIN)
        _draw_back_of_head(drawing, body)


def _draw_hair_behind(drawing: Drawing, body: Body) -> None:
    """The hair that the face covers in part."""
    (x, y), (rx, ry) = body.head_centre, body.head_radii
    colour, side = body.identity.hair_colour, body.sideways
    match body.identity.hair:
        case "afro":
            drawing.ellipse((x - side * rx * 0.2, y - ry * 0.25), (rx * 1.5, ry * 1.15), colour, Region.HAIR)
        case "long":
            drawing.polygon(_mane(body), colour, Region.HAIR)
        case "bun":
            drawing.ellipse((x - side * rx * 0.5, y - ry * 1.08), (rx * 0.55, ry * 0.38), colour, Region.HAIR)
        case "ponytail":
            start, end = (x - side * rx, y - ry * 0.3), (x - side * rx * 1.5, y + ry * 1.2)
            drawing.tube(start, end, (0.018 * body.scale, 0.012 * body.scale), colour, Region.HAIR)


def _draw_face(drawing: Drawing, body: Body) -> None:
    (x, y), (rx, ry) = body.head_centre, body.head_radii
    identity = body.identity
    hair = _lit(identity.hair_colour, 0.9)
    mouth = x + body.sideways * rx * 0.35
    if identity.beard == "full":
        drawing.slice((x, y), (rx, ry), (20, 160), hair, Region.FACE, chord=False)
        drawing.ellipse((mouth, y + ry * 0.25), (rx * 0.5, ry * 0.3), identity.skin, Region.FACE)
    if identity.beard != "none":
        top, bottom, half = y + ry * 0.35, y + ry * 0.5, rx * 0.4
        lip = [(mouth - half, top), (mouth + half, top), (mouth + half, bottom), (mouth - half, bottom)]
        drawing.polygon(lip, hair, Region.FACE)
    for side in (LEFT, RIGHT):
        if body.eye_shows(side):
            eye = body.eye(side)
            drawing.ellipse(eye, (ry * 0.1, ry * 0.11), _DARK, Region.FACE)
            if identity.glasses:
                drawing.ring(eye, ry * 0.24, _DARK)


def _draw_fringe(drawing: Drawing, body: Body) -> None:
    """The hair over the forehead, and over the temple when seen from the side."""
    if body.identity.hair == "bald":
        return
    (x, y), (rx, ry) = body.head_centre, body.head_radii
    colour, radii = body.identity.hair_colour, (rx * 1.08, ry * 1.08)
    turn = math.degrees(math.asin(body.sideways)) * 0.45
    drawing.slice((x, y), radii, (195 + turn, 345 + turn), colour, Region.HAIR, chord=False)
    drawing.slice((x, y), radii, (200 + turn, 340 + turn), colour, Region.HAIR, chord=True)
    if abs(body.sideways) > 0.5:
        drawing.ellipse((x - body.sideways * rx * 0.55, y - ry * 0.1), (rx * 0.5, ry * 0.7), colour, Region.HAIR)


def _draw_back_of_head(drawing: Drawing, body: Body) -> None:
    (x, y), (rx, ry) = body.head_centre, body.head_radii
    hair, colour = body.identity.hair, body.identity.hair_colour
    if hair == "bald":
        return
    drawing.slice((x, y), (rx * 1.08, ry * 1.08), (150, 390), colour, Region.HAIR, chord=True)
    match hair:
        case "afro":
            drawing.ellipse((x, y - ry * 0.25), (rx * 1.5, ry * 1.15), colour, Region.HAIR)
        case "long":
            drawing.polygon(_mane(body), colour, Region.HAIR)
        case "bun":
            drawing.ellipse((x, y - ry * 1.08), (rx * 0.55, ry * 0.38), colour, Region.HAIR)
        case "ponytail":
            drawing.tube((x, y), (x, y + ry * 1.6), (0.02 * body.scale, 0.012 * body.scale), colour, Region.HAIR)


def _mane(body: Body) -> list[Point]:
    """Outline of long hair, falling to the shoulders."""
    (x, y), (rx, ry) = body.head_centre, body.head_radii
    top, bottom = y - ry * 0.4, y + ry * 1.5
    return [(x - rx * 1.15, top), (x + rx * 1.15, top), (x + rx * 1.2, bottom), (x - rx * 1.2, bottom)]


def _lit(colour: Colour, light: float) -> Colour:
    return (colour[0] * light, colour[1] * light, colour[2] * light)


def _whole(colour: Colour) -> tuple[int, int, int]:
    red, green, blue = (min(255, int(value)) for value in colour)
    return (red, green, blue)


def _box(centre: Point, radii: Point) -> tuple[float, float, float, float]:
    return (centre[0] - radii[0], centre[1] - radii[1], centre[0] + radii[0], centre[1] + radii[1])
