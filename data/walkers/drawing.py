"""Drawing a walker: every shape goes to the picture in its colour and to the parsing map in its region."""

from __future__ import annotations

import math

from PIL import Image, ImageDraw

from data.annotation import Region
from data.walkers.body import LEFT, RIGHT, Body, Point
from data.walkers.person import Colour, Outfit

_DARK: Colour = (30, 25, 25)
_FAR_SIDE, _NEAR_SIDE = 0.86, 1.04  # light on a limb behind or before the trunk


class Canvas:
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


def draw_figure(canvas: Canvas, body: Body, outfit: Outfit) -> None:
    """Draw a posed and dressed person, what is behind first."""
    far, near = sorted((LEFT, RIGHT), key=body.nearness)
    _draw_arm(canvas, body, outfit, far)
    for side in (far, near):
        _draw_leg(canvas, body, outfit, side)
    _draw_trunk(canvas, body, outfit)
    _draw_head(canvas, body, outfit)
    _draw_arm(canvas, body, outfit, near)


def _draw_leg(canvas: Canvas, body: Body, outfit: Outfit, side: int) -> None:
    leg = body.legs[side]
    hip, knee, ankle = (body.project(place) for place in (leg.upper, leg.middle, leg.end))
    light = _FAR_SIDE if body.nearness(side) < -0.1 else 1.0
    skin, cloth = _lit(body.identity.skin, light), _lit(outfit.lower, light)
    radius, loose = body.identity.limb * 1.25 * body.scale, outfit.leg_looseness * body.scale
    canvas.tube(knee, ankle, (radius * 0.8, radius * 0.55), skin, Region.SKIN)
    canvas.tube(hip, knee, (radius * 1.25, radius * 0.8), skin, Region.SKIN)
    if outfit.lower_kind == "trousers":
        canvas.tube(knee, ankle, (radius * 0.85 + loose, radius * 0.65 + loose), cloth, Region.TROUSERS)
    if outfit.lower_kind != "skirt":
        canvas.tube(hip, knee, (radius * 1.3 + loose, radius * 0.88 + loose), cloth, Region.TROUSERS)
    heel = (ankle[0], ankle[1] + 0.018 * body.scale)
    toe = body.project((leg.end[0], leg.end[1] - 0.022, leg.end[2] + 0.06))
    canvas.tube(heel, toe, (0.024 * body.scale, 0.018 * body.scale), _lit(outfit.shoe, light), Region.TROUSERS)


def _draw_arm(canvas: Canvas, body: Body, outfit: Outfit, side: int) -> None:
    arm = body.arms[side]
    shoulder, elbow, wrist = (body.project(place) for place in (arm.upper, arm.middle, arm.end))
    light = _FAR_SIDE if body.nearness(side) < -0.1 else _NEAR_SIDE
    skin, cloth = _lit(body.identity.skin, light), _lit(outfit.upper, light)
    radius, loose = body.identity.limb * body.scale, outfit.looseness * 0.6 * body.scale
    canvas.tube(elbow, wrist, (radius * 0.8, radius * 0.6), skin, Region.SKIN)
    canvas.tube(shoulder, elbow, (radius, radius * 0.8), skin, Region.SKIN)
    canvas.ellipse(wrist, (radius * 0.75, radius * 0.85), skin, Region.SKIN)
    if outfit.sleeve == "long":
        canvas.tube(elbow, wrist, (radius * 0.85 + loose, radius * 0.7 + loose), cloth, Region.UPPER_CLOTHES)
    if outfit.sleeve != "none":
        canvas.tube(shoulder, elbow, (radius * 1.05 + loose, radius * 0.9 + loose), cloth, Region.UPPER_CLOTHES)


def _draw_trunk(canvas: Canvas, body: Body, outfit: Outfit) -> None:
    identity, top = body.identity, body.shoulder_height
    lower_region = Region.SKIRT if outfit.lower_kind == "skirt" else Region.TROUSERS
    _panel(canvas, body, identity.leg + 0.08, identity.leg - 0.03, (-1, 1), outfit.lower, lower_region)
    if outfit.lower_kind == "skirt":
        knee = body.project((0.0, identity.leg * 0.52, 0.0))
        half = body.seen_width(identity.hip * 1.45, identity.hip * 1.2) * body.scale
        waist = [body.trunk_edge(identity.leg + 0.04, where) for where in (-1, 1)]
        canvas.polygon([*waist, (knee[0] + half, knee[1]), (knee[0] - half, knee[1])], outfit.lower, Region.SKIRT)
    hem = max(identity.leg - 0.03, identity.leg + 0.035 - outfit.hem)
    _panel(canvas, body, top, hem, (-1, 1), outfit.upper, Region.UPPER_CLOTHES)
    if outfit.pattern == "stripes":
        step = (top - hem) / outfit.stripes
        for stripe in range(outfit.stripes):
            start = top - (stripe + 0.5) * step
            _panel(canvas, body, start, start - 0.45 * step, (-1, 1), outfit.accent, Region.UPPER_CLOTHES)
    if outfit.pattern == "panel" and body.facing > 0:
        middle = 0.5 * body.sideways
        _panel(canvas, body, top, hem, (middle - 0.28, middle + 0.28), outfit.accent, Region.UPPER_CLOTHES)
    if outfit.pattern == "print" and body.facing > 0:
        centre = body.project((0.0, top + (hem - top) * 0.35, 0.05))
        radii = (max(0.01, body.facing * 0.05) * body.scale, 0.045 * body.scale)
        canvas.ellipse(centre, radii, outfit.accent, Region.UPPER_CLOTHES)


def _panel(canvas: Canvas, body: Body, top: float, bottom: float, sides: Point, colour: Colour, region: int) -> None:
    """The part of the trunk between two heights and two places across it."""
    between = [height for height in body.trunk_heights[::-1].tolist() if bottom < height < top]
    heights = [top, *between, bottom]
    left, right = ([body.trunk_edge(height, side) for height in heights] for side in sides)
    canvas.polygon(left + right[::-1], colour, region)


def _draw_head(canvas: Canvas, body: Body, outfit: Outfit) -> None:
    identity, scale = body.identity, body.scale
    throat = body.project((0.0, body.shoulder_height - 0.01, 0.0))
    chin = body.project((0.0, 1 - identity.head * 0.8, 0.012))
    canvas.tube(throat, chin, (0.03 * scale, 0.028 * scale), _lit(identity.skin, 0.93), Region.SKIN)
    if outfit.hood:
        nape = body.project((0.0, body.shoulder_height + 0.005, -0.01))
        canvas.ellipse(nape, (0.05 * scale, 0.022 * scale), _lit(outfit.upper, 0.9), Region.UPPER_CLOTHES)
    if body.face_shows:
        _draw_hair_behind(canvas, body)
        canvas.ellipse(body.head_centre, body.head_radii, identity.skin, Region.FACE)
        _draw_face(canvas, body)
        _draw_fringe(canvas, body)
    else:
        canvas.ellipse(body.head_centre, body.head_radii, identity.skin, Region.SKIN)
        _draw_back_of_head(canvas, body)


def _draw_hair_behind(canvas: Canvas, body: Body) -> None:
    """The hair that the face covers in part."""
    (x, y), (rx, ry) = body.head_centre, body.head_radii
    colour, side = body.identity.hair_colour, body.sideways
    match body.identity.hair:
        case "afro":
            canvas.ellipse((x - side * rx * 0.2, y - ry * 0.25), (rx * 1.5, ry * 1.15), colour, Region.HAIR)
        case "long":
            canvas.polygon(_mane(body), colour, Region.HAIR)
        case "bun":
            canvas.ellipse((x - side * rx * 0.5, y - ry * 1.08), (rx * 0.55, ry * 0.38), colour, Region.HAIR)
        case "ponytail":
            start, end = (x - side * rx, y - ry * 0.3), (x - side * rx * 1.5, y + ry * 1.2)
            canvas.tube(start, end, (0.018 * body.scale, 0.012 * body.scale), colour, Region.HAIR)


def _draw_face(canvas: Canvas, body: Body) -> None:
    (x, y), (rx, ry) = body.head_centre, body.head_radii
    identity = body.identity
    hair = _lit(identity.hair_colour, 0.9)
    mouth = x + body.sideways * rx * 0.35
    if identity.beard == "full":
        canvas.slice((x, y), (rx, ry), (20, 160), hair, Region.FACE, chord=False)
        canvas.ellipse((mouth, y + ry * 0.25), (rx * 0.5, ry * 0.3), identity.skin, Region.FACE)
    if identity.beard != "none":
        top, bottom, half = y + ry * 0.35, y + ry * 0.5, rx * 0.4
        lip = [(mouth - half, top), (mouth + half, top), (mouth + half, bottom), (mouth - half, bottom)]
        canvas.polygon(lip, hair, Region.FACE)
    for side in (LEFT, RIGHT):
        if body.eye_shows(side):
            eye = body.eye(side)
            canvas.ellipse(eye, (ry * 0.1, ry * 0.11), _DARK, Region.FACE)
            if identity.glasses:
                canvas.ring(eye, ry * 0.24, _DARK)


def _draw_fringe(canvas: Canvas, body: Body) -> None:
    """The hair over the forehead, and over the temple when seen from the side."""
    if body.identity.hair == "bald":
        return
    (x, y), (rx, ry) = body.head_centre, body.head_radii
    colour, radii = body.identity.hair_colour, (rx * 1.08, ry * 1.08)
    turn = math.degrees(math.asin(body.sideways)) * 0.45
    canvas.slice((x, y), radii, (195 + turn, 345 + turn), colour, Region.HAIR, chord=False)
    canvas.slice((x, y), radii, (200 + turn, 340 + turn), colour, Region.HAIR, chord=True)
    if abs(body.sideways) > 0.5:
        canvas.ellipse((x - body.sideways * rx * 0.55, y - ry * 0.1), (rx * 0.5, ry * 0.7), colour, Region.HAIR)


def _draw_back_of_head(canvas: Canvas, body: Body) -> None:
    (x, y), (rx, ry) = body.head_centre, body.head_radii
    hair, colour = body.identity.hair, body.identity.hair_colour
    if hair == "bald":
        return
    canvas.slice((x, y), (rx * 1.08, ry * 1.08), (150, 390), colour, Region.HAIR, chord=True)
    match hair:
        case "afro":
            canvas.ellipse((x, y - ry * 0.25), (rx * 1.5, ry * 1.15), colour, Region.HAIR)
        case "long":
            canvas.polygon(_mane(body), colour, Region.HAIR)
        case "bun":
            canvas.ellipse((x, y - ry * 1.08), (rx * 0.55, ry * 0.38), colour, Region.HAIR)
        case "ponytail":
            canvas.tube((x, y), (x, y + ry * 1.6), (0.02 * body.scale, 0.012 * body.scale), colour, Region.HAIR)


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
