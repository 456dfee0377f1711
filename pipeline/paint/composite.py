"""The composite: only the clothes are taken from a painting, all else stays the photo's own pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

_EDGE_AT_256 = 1.5


def keep_person(
    photos: npt.NDArray[np.uint8], painted: npt.NDArray[np.uint8], clothing: npt.NDArray[np.bool_]
) -> npt.NDArray[np.uint8]:
    """Lay the clothes of paintings on their photos with a soft edge.

    The share of the painting falls from 1 to 0 across the border of the clothes as a Gaussian of sigma 1.5 pixels at a
    height of 256 (in proportion at others) does, and is 0 from two sigma away from them: there the photo's pixels stay
    to the bit.

    Args:
        photos: uint8 (B, H, W, 3).
        painted: uint8 (B, S, H, W, 3).
        clothing: bool (B, H, W), where the photo shows clothes.

    Returns:
        uint8 (B, S, H, W, 3).
    """
    sigma = _EDGE_AT_256 * photos.shape[1] / 256
    share = ndimage.gaussian_filter(clothing.astype(np.float32), (0, sigma, sigma), truncate=2)
    share = share[:, None, ..., None]
    mixed = share * painted + (1 - share) * photos[:, None]
    return np.rint(mixed).astype(np.uint8)
