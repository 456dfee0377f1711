"""Label spaces: what the labels of well-known human parsers mean among PISE's 8 regions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from data.annotation import Region
from data.runtime.errors import InputError

_BACKGROUND, _HAT, _HAIR, _UPPER, _SKIRT, _TROUSERS, _SKIN, _FACE = Region

_REGION_OF = {
    "background": _BACKGROUND,
    "hat": _HAT,
    "hair": _HAIR,
    "sunglasses": _FACE,
    "face": _FACE,
    "upper clothes": _UPPER,
    "dress": _UPPER,
    "coat": _UPPER,
    "jumpsuit": _UPPER,
    "scarf": _UPPER,
    "skirt": _SKIRT,
    "trousers": _TROUSERS,
    "belt": _TROUSERS,
    "socks": _TROUSERS,
    "left shoe": _TROUSERS,
    "right shoe": _TROUSERS,
    "glove": _SKIN,
    "torso skin": _SKIN,
    "left arm": _SKIN,
    "right arm": _SKIN,
    "left leg": _SKIN,
    "right leg": _SKIN,
    "bag": _BACKGROUND,
}
"""PISE knows neither shoes nor bags: what is worn below the waist goes with the trousers, what is carried stays."""

_LIP = (
    "background", "hat", "hair", "glove", "sunglasses", "upper clothes", "dress", "coat", "socks", "trousers",
    "jumpsuit", "scarf", "skirt", "face", "left arm", "right arm", "left leg", "right leg", "left shoe", "right shoe",
)  # fmt: skip
_ATR = (
    "background", "hat", "hair", "sunglasses", "upper clothes", "skirt", "trousers", "dress", "belt", "left shoe",
    "right shoe", "face", "left leg", "right leg", "left arm", "right arm", "bag", "scarf",
)  # fmt: skip

LABEL_SPACES: dict[str, npt.NDArray[np.uint8]] = {
    "pise": np.arange(len(Region), dtype=np.uint8),
    "atr": np.array([_REGION_OF[name] for name in _ATR], np.uint8),
    "lip": np.array([_REGION_OF[name] for name in _LIP], np.uint8),
    # CIHP is LIP with the bare torso in place of jumpsuits.
    "cihp": np.array([_REGION_OF[{"jumpsuit": "torso skin"}.get(name, name)] for name in _LIP], np.uint8),
}
"""Of each space, the region (0 to 7) of every label."""

VOID = 255
"""The label that data sets give to pixels nobody annotated; it counts as background."""


def to_regions(labels: npt.NDArray[np.integer], space: str) -> npt.NDArray[np.uint8]:
    """The 8 regions of a parsing in another label space.

    Args:
        labels: (H, W) of any integer type.
        space: a name in `LABEL_SPACES`.

    Returns:
        uint8 (H, W) of 0 to 7.

    Raises:
        InputError: the space is unknown, or a label is none of it.
    """
    if space not in LABEL_SPACES:
        raise InputError(f"label space {space!r} is unknown: choose one of {', '.join(LABEL_SPACES)}")
    table = np.zeros(VOID + 1, np.uint8)
    table[: len(LABEL_SPACES[space])] = LABEL_SPACES[space]
    strange = labels[(labels != VOID) & ((labels < 0) | (labels >= len(LABEL_SPACES[space])))]
    if strange.size:
        raise InputError(f"label {strange.flat[0]} is none of the {len(LABEL_SPACES[space])} of {space!r}")
    return table[labels]
