"""CIELAB: colours in which equal distances look about equal, lightness L apart from the hue and its strength (a, b).

sRGB by IEC 61966-2-1, its primaries and D65 white (BT.709); XYZ to L*a*b* by CIE 15:2004, section 8.2.1.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_XYZ_OF_RGB = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ],
    np.float32,
)
_RGB_OF_XYZ = np.linalg.inv(_XYZ_OF_RGB)
_WHITE = _XYZ_OF_RGB.sum(1)

# CIE's exact fractions, where the cube root gives way to a straight line: delta = 6/29.
_DELTA = np.float32(6 / 29)
_OFFSET = np.float32(4 / 29)


def to_cielab(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Turn sRGB pixels, uint8 (..., 3), into float32 (..., 3): L in 0 to 100, a and b about -110 to 110."""
    ratio = _LINEAR[pixels] @ _XYZ_OF_RGB.T / _WHITE
    root = np.where(ratio > _DELTA**3, np.cbrt(ratio), ratio / (3 * _DELTA**2) + _OFFSET)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def to_srgb(lab: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Turn L, a, b (..., 3) into the nearest sRGB pixels, uint8 (..., 3); colours that sRGB lacks are clipped."""
    lightness, a, b = np.moveaxis(lab, -1, 0)
    y = (lightness + 16) / 116
    root = np.stack([y + a / 500, y, y - b / 200], -1)
    ratio = np.where(root > _DELTA, root**3, 3 * _DELTA**2 * (root - _OFFSET))
    linear = np.clip((ratio * _WHITE) @ _RGB_OF_XYZ.T, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(encoded * 255).astype(np.uint8)


def _linear(encoded: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4).astype(np.float32)


_LINEAR = _linear(np.arange(256) / 255)
"""Of each of the 256 values of a pixel, its share of the full light."""
