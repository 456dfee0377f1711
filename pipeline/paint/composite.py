"""The composite: only the clothes are taken from a painting, all else stays the photo's own pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from data.annotation import CLOTHING_REGIONS

_EDGE_AT_256 = 1.5  # sigma of the soft edge, in pixels at a height of 256
# So far the old clothes tinge what is beside them: one pixel by anti-aliasing, another by resizing or, in larger
# pictures, by JPEG's coarse colours. Measured on rendered 3-D people: with 1 pixel the old colour could still be read.
_RIM, _RIM_AT_256 = 2, 3
_DARKEST, _BRIGHTEST = 0.25, 4.0  # the light of a photo, in that of its painting
_LEAST_KEPT = 0.1  # of a picture, to tell the light from

Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]


def keep_person(
    photos: Pixels, painted: Pixels, clothing: Mask, parsings: Pixels, worn: Mask, lit: bool = False
) -> Pixels:
    """Lay the clothes of paintings on their photos, with a soft edge and in the photo's light.

    The clothes of the photo are first taken off with a rim of 2 pixels (3 at a height of 256), which anti-aliasing,
    resizing and JPEG tinged with their colour; what lies around is drawn over it, each region on its own. The share of
    the painting then falls from 1 to 0 across the border of the new clothes as a Gaussian of sigma 1.5 pixels at a
    height of 256 (in proportion at others) does, and is 0 from two sigma away. Where neither reaches, the photo's
    pixels stay to the bit. A painting is as bright as its photo, by what both show besides the clothes.

    Args:
        photos: uint8 (B, H, W, 3).
        painted: uint8 (B, S, H, W, 3).
        clothing: bool (B, S, H, W), where the painting is to be seen: where photo or version have clothes.
        parsings: uint8 (B, H, W), the photos' regions.
        worn: bool (B, H, W), where the photo shows clothes that are exchanged.
        lit: whether the paintings are in the photos' light, as those that show nothing but the clothes must be.

    Returns:
        uint8 (B, S, H, W, 3).
    """
    mixed = np.empty_like(painted)
    sigma = _EDGE_AT_256 * photos.shape[1] / 256
    for row, (photo, parsing, old) in enumerate(zip(photos, parsings, worn, strict=True)):
        bare, hole = take_off(photo, parsing, old)
        for version, (painting, new) in enumerate(zip(painted[row], clothing[row], strict=True)):
            share = ndimage.gaussian_filter(new.astype(np.float32), sigma, truncate=2)[..., None]
            brightness = 1.0 if lit else light(photo, painting, ~(hole | new))
            mixed[row, version] = np.rint(share * brightness * painting + (1 - share) * bare).clip(0, 255)
    return mixed


def take_off(photo: Pixels, parsing: Pixels, worn: Mask) -> tuple[Floats, Mask]:
    """Draw what lies around the clothes over them and their rim.

    Args:
        photo: uint8 (H, W, 3).
        parsing: uint8 (H, W), its regions.
        worn: bool (H, W), the clothes.

    Returns:
        float32 (H, W, 3), and bool (H, W): where it differs from the photo.
    """
    rim = max(_RIM, round(_RIM_AT_256 * len(photo) / 256))
    hole = ndimage.binary_dilation(worn, iterations=rim)
    bare = photo.astype(np.float32)
    if not worn.any() or hole.all():
        return bare, hole & worn.any()
    clothed = worn | np.isin(parsing, CLOTHING_REGIONS)
    beside: Any = parsing
    if not clothed.all():
        nearest = ndimage.distance_transform_edt(clothed, return_distances=False, return_indices=True)
        beside = parsing[tuple(nearest)]
    bare[hole] = spread(bare, ~hole)[hole]
    for region in np.unique(beside[hole]):
        known = ~hole & (parsing == region)
        if known.any():
            wanted = hole & (beside == region)
            bare[wanted] = spread(bare, known)[wanted]
    return bare, hole


def light(photo: Pixels, painting: Pixels, kept: Mask) -> float:
    """How bright a photo is, in terms of its painting, by the pixels `kept` (H, W) that show the same in both.

    Generators that normalise their input paint the same, whatever the light. 1 where too little is kept.
    """
    if kept.mean() < _LEAST_KEPT:
        return 1.0
    return float(np.clip((1 + photo[kept].mean()) / (1 + painting[kept].mean()), _DARKEST, _BRIGHTEST))


def spread(pixels: Floats, known: Mask) -> Floats:
    """Pixels (H, W, 3) where they are `known`, drawn on smoothly everywhere else.

    By a pyramid (Gortler et al., The lumigraph, 1996: pull and push): what is unknown is taken from the means of ever
    larger squares.
    """
    if known.all() or max(known.shape) == 1:
        return pixels
    height, width = known.shape
    odd = ((0, height % 2), (0, width % 2))
    weight = np.pad(known.astype(np.float32), odd)[..., None]
    sums = _squares(np.pad(pixels, (*odd, (0, 0))) * weight)
    counts = _squares(weight)
    coarse = spread(sums / counts.clip(min=1), counts[..., 0] > 0)
    fine = ndimage.uniform_filter(coarse.repeat(2, 0).repeat(2, 1), (3, 3, 1), mode="nearest")[:height, :width]
    return np.where(known[..., None], pixels, fine)


def _squares(values: Floats) -> Floats:
    """Sums over squares of 2 x 2: (H, W, C) → (H/2, W/2, C)."""
    height, width, channels = values.shape
    sums: Floats = values.reshape(height // 2, 2, width // 2, 2, channels).sum((1, 3))
    return sums
