"""The mask: how much of each pixel is the person, so that training can exchange what is behind."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from data.annotation import Region

# Sigma, in pixels, of the step from person to background: a camera's is about as wide. Found by looking at rendered
# people before other backgrounds.
_EDGE = 0.6


def person_mask(parsings: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Say how much of each pixel is the person.

    Args:
        parsings: (..., H, W), labels of regions.

    Returns:
        uint8 (..., H, W), 0 for background to 255.
    """
    people = (parsings != Region.BACKGROUND).astype(np.float32)
    sigma = (0.0,) * (people.ndim - 2) + (_EDGE, _EDGE)
    soft = ndimage.gaussian_filter(people, sigma, mode="nearest")
    return np.rint(255 * soft).astype(np.uint8)
