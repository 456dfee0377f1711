"""Garments as they are seen: their colours in CIELAB, how much these vary, and which outfits lie apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from data.annotation import Region
from pipeline.cielab import to_cielab

_ABOVE, _BELOW = (Region.UPPER_CLOTHES,), (Region.SKIRT, Region.TROUSERS)


def measure(
    lab: npt.NDArray[np.float32], parsing: npt.NDArray[np.uint8], regions: Sequence[int], least: float = 0.0
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Measure the colour of each region of a photo.

    Args:
        lab: the photo in CIELAB, (H, W, 3).
        parsing: (H, W).
        regions: labels of the regions to measure.
        least: share of the photo that a region must cover.

    Returns:
        Means (8, 3) and standard deviations of L (8,), NaN where the region is not there.
    """
    means = np.full((len(Region), 3), np.nan, np.float32)
    spreads = np.full(len(Region), np.nan, np.float32)
    for region in regions:
        garment = lab[parsing == region]
        if len(garment) > least * parsing.size:
            means[region], spreads[region] = garment.mean(0), garment[:, 0].std()
    return means, spreads


def look(pixels: npt.NDArray[np.uint8], parsing: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """What somebody wears in eight numbers, whose Euclidean distance says how different two outfits look.

    Of what is worn above and of what is worn below, the mean L, a and b and the standard deviation of L, divided by the
    root of 2, so that outfits whose garments all differ by a CIELAB distance of d are d apart. Whoever shows garments
    in one place only, as in a dress, wears them in both.

    Args:
        pixels: uint8 (H, W, 3).
        parsing: uint8 (H, W).

    Returns:
        float32 (8,); zeros without any clothes.
    """
    lab = to_cielab(pixels)
    worn = [lab[np.isin(parsing, regions)] for regions in (_ABOVE, _BELOW)]
    known = [garment for garment in worn if len(garment)]
    if not known:
        return np.zeros(8, np.float32)
    seen = [garment if len(garment) else known[0] for garment in worn]
    parts = [np.append(garment.mean(0), garment[:, 0].std()) for garment in seen]
    return (np.concatenate(parts) / np.sqrt(2)).astype(np.float32)


def pick_apart(distance: npt.NDArray[np.floating[Any]], first: int, count: int) -> list[int]:
    """Pick `first`, then again and again whatever is farthest from all picked so far, by distances (N, N)."""
    picked = [first]
    while len(picked) < count:
        gap = distance[:, picked].min(1)
        gap[picked] = -1
        picked.append(int(gap.argmax()))
    return picked
