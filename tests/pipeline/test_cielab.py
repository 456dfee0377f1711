"""CIELAB: against known values, and there and back."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.cielab import to_cielab, to_srgb


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [
        # The corners of sRGB as B. Lindbloom's calculator gives them (D65, no adaptation).
        ((0, 0, 0), (0, 0, 0)),
        ((255, 255, 255), (100, 0, 0)),
        ((255, 0, 0), (53.2408, 80.0925, 67.2032)),
        ((0, 255, 0), (87.7347, -86.1827, 83.1793)),
        ((0, 0, 255), (32.2970, 79.1875, -107.8602)),
        ((255, 255, 0), (97.1393, -21.5537, 94.4780)),
        ((128, 128, 128), (53.5850, 0, 0)),
        ((1, 1, 1), (0.2742, 0, 0)),
    ],
)
def test_known_colours(rgb: tuple[int, int, int], lab: tuple[float, float, float]) -> None:
    np.testing.assert_allclose(to_cielab(np.array(rgb, np.uint8)), lab, atol=0.03)


def test_every_seventh_colour_comes_back() -> None:
    steps = np.append(np.arange(0, 256, 7), 255).astype(np.uint8)
    colours = np.stack(np.meshgrid(steps, steps, steps), -1)
    there = to_cielab(colours)
    assert there.dtype == np.float32
    np.testing.assert_array_equal(to_srgb(there), colours)


def test_colours_that_srgb_lacks_are_clipped() -> None:
    lab = np.array([[120, 0, 0], [-5, 0, 0], [50, 200, 0]], np.float32)
    pixels = to_srgb(lab)
    np.testing.assert_array_equal(pixels[:2], [[255] * 3, [0] * 3])
    assert pixels[2, 0] == 255
    assert pixels[2, 1] == 0
