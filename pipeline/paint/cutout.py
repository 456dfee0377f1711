"""Paintings of people cut out of their photos: their own skin, and nothing of the backdrop."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from data.annotation import Region
from pipeline.cielab import to_cielab
from pipeline.paint.composite import spread

_FEWEST = 12  # pixels that tell the colour of skin
# In CIELAB, that skin may be from the face: it is at most 25 in 945 photos of rendered 3-D people. Beyond, it is a
# glove, or something in a hand.
_FARTHEST = 30
_LEAST, _MOST = 0.2, 3.0  # that painted skin is darkened or brightened by, in each colour

Floats = npt.NDArray[np.floating[Any]]


def cut_out(
    paintings: Floats, targets: npt.NDArray[np.uint8], image: npt.NDArray[np.uint8], parsing: npt.NDArray[np.uint8]
) -> Floats:
    """Give painted people their own skin, and let their colours go on over the backdrop.

    Skin that a shorter garment uncovers is painted from the person's style, which is a guess; here its median colour
    becomes that of the skin that the photo shows; or of the face, if it shows no other or if that is no colour of skin.

    Args:
        paintings: (S, H, W, 3) in [-1, 1].
        targets: uint8 (S, H, W), the regions they were painted into.
        image: uint8 (H, W, 3), the photo.
        parsing: uint8 (H, W), its regions.

    Returns:
        (S, H, W, 3).
    """
    own = _skin_colour(image, parsing)
    finished = np.empty_like(paintings)
    for version, (painting, target) in enumerate(zip(paintings, targets, strict=True)):
        skin = target == Region.SKIN
        lit = painting
        if own is not None and skin.sum() >= _FEWEST:
            painted = np.median(painting[skin] + 1, 0) * 127.5
            lit = np.where(skin[..., None], (painting + 1) * (own / painted.clip(1)).clip(_LEAST, _MOST) - 1, painting)
        finished[version] = spread(lit.astype(np.float32), target != Region.BACKGROUND)
    return finished


def _skin_colour(image: npt.NDArray[np.uint8], parsing: npt.NDArray[np.uint8]) -> Floats | None:
    """The median colour (3,) of the skin that a photo shows, or of the face; None if it shows neither."""
    skin, face = (_median(image[parsing == region]) for region in (Region.SKIN, Region.FACE))
    if skin is None or face is None:
        return face if skin is None else skin
    apart = np.linalg.norm(np.subtract(*to_cielab(np.rint([skin, face]).astype(np.uint8))))
    return skin if apart <= _FARTHEST else face


def _median(pixels: npt.NDArray[np.uint8]) -> Floats | None:
    """The median colour (3,) of pixels (N, 3); None of too few."""
    return np.median(pixels, 0) if len(pixels) >= _FEWEST else None
