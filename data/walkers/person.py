"""Who a walker is and what one wears: two independent sets of factors, drawn from seeded generators."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np

Colour = tuple[float, float, float]
"""Red, green and blue, each 0 to 255."""

Choice = TypeVar("Choice")

HairStyle = Literal["bald", "short", "long", "bun", "afro", "ponytail"]
Beard = Literal["none", "moustache", "full"]
Pattern = Literal["plain", "stripes", "panel", "print"]
Sleeve = Literal["none", "short", "long"]
Lower = Literal["trousers", "shorts", "skirt"]

_HAIR_STYLES: tuple[HairStyle, ...] = ("bald", "short", "long", "bun", "afro", "ponytail")
_BEARDS: tuple[Beard, ...] = ("none", "none", "none", "moustache", "full")
_PATTERNS: tuple[Pattern, ...] = ("plain", "plain", "plain", "stripes", "panel", "print")
_SLEEVES: tuple[Sleeve, ...] = ("none", "short", "short", "long", "long", "long")
_LOWERS: tuple[Lower, ...] = ("trousers", "trousers", "trousers", "shorts", "skirt")
_SKINS: tuple[Colour, ...] = (
    (250, 218, 190),
    (232, 190, 155),
    (205, 155, 115),
    (160, 110, 75),
    (112, 74, 50),
    (75, 50, 36),
)
_HAIRS: tuple[Colour, ...] = (
    (20, 18, 18),
    (60, 38, 22),
    (110, 72, 38),
    (190, 150, 85),
    (150, 70, 35),
    (150, 150, 150),
)


@dataclass(frozen=True)
class Identity:
    """What stays with a person. Lengths are shares of the body height unless said otherwise."""

    height: float  # of the body, 1 being the average person
    leg: float
    shoulder: float  # half width
    hip: float  # half width
    waist: float  # width, as a share of the mean of shoulders and hips
    depth: float  # front to back, as a share of the width
    belly: float  # how far it stands out; 0 is flat
    arm: float
    limb: float  # radius of an upper arm
    neck: float
    head: float
    head_aspect: float  # width over height of the head
    skin: Colour
    hair: HairStyle
    hair_colour: Colour
    glasses: bool
    beard: Beard
    lean: float  # forward lean of the trunk
    stride: float  # radians a leg swings
    arm_spread: float  # radians the arms stand off the trunk


@dataclass(frozen=True)
class Outfit:
    """What a change of clothes changes."""

    upper: Colour
    accent: Colour  # of the pattern
    pattern: Pattern
    stripes: int
    sleeve: Sleeve
    hood: bool
    lower: Colour
    lower_kind: Lower
    shoe: Colour
    hem: float  # how far the upper garment hangs over the lower one
    looseness: float  # of the upper garment, as a share of the body height
    leg_looseness: float


def draw_identity(rng: np.random.Generator) -> Identity:
    """A person drawn at random."""
    tone = rng.uniform(0, len(_SKINS) - 1)
    darker = min(int(tone), len(_SKINS) - 2)
    light, dark = np.array(_SKINS[darker]), np.array(_SKINS[darker + 1])
    skin = light + (dark - light) * (tone - darker)
    return Identity(
        height=rng.uniform(0.88, 1.08),
        leg=rng.uniform(0.43, 0.53),
        shoulder=rng.uniform(0.098, 0.15),
        hip=rng.uniform(0.07, 0.112),
        waist=rng.uniform(0.72, 1.12),
        depth=rng.uniform(0.5, 0.75),
        belly=max(0.0, rng.uniform(-0.04, 0.05)),
        arm=rng.uniform(0.37, 0.46),
        limb=rng.uniform(0.026, 0.042),
        neck=rng.uniform(0.022, 0.05),
        head=rng.uniform(0.14, 0.18),
        head_aspect=rng.uniform(0.66, 0.9),
        skin=(float(skin[0]), float(skin[1]), float(skin[2])),
        hair=_one_of(rng, _HAIR_STYLES),
        hair_colour=_HAIRS[int(rng.integers(len(_HAIRS)))],
        glasses=bool(rng.random() < 0.35),
        beard=_one_of(rng, _BEARDS),
        lean=rng.uniform(-0.07, 0.07),
        stride=rng.uniform(0.15, 0.5),
        arm_spread=rng.uniform(0.02, 0.22),
    )


def draw_outfit(rng: np.random.Generator) -> Outfit:
    """An outfit drawn at random."""
    return Outfit(
        upper=_dye(rng),
        accent=_dye(rng),
        pattern=_one_of(rng, _PATTERNS),
        stripes=int(rng.integers(3, 8)),
        sleeve=_one_of(rng, _SLEEVES),
        hood=bool(rng.random() < 0.15),
        lower=_dye(rng),
        lower_kind=_one_of(rng, _LOWERS),
        shoe=_dye(rng),
        hem=rng.uniform(-0.02, 0.06),
        looseness=rng.uniform(0, 0.02),
        leg_looseness=rng.uniform(0, 0.014),
    )


def _one_of(rng: np.random.Generator, values: tuple[Choice, ...]) -> Choice:
    return values[int(rng.integers(len(values)))]


def _dye(rng: np.random.Generator) -> Colour:
    """A cloth's colour, at most of medium saturation."""
    saturation = (0.0, 0.15, 0.5)[int(rng.integers(3))]
    red, green, blue = colorsys.hsv_to_rgb(rng.random(), saturation, rng.uniform(0.15, 0.9))
    return (255 * red, 255 * green, 255 * blue)
