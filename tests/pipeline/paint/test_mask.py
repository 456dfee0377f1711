"""The person's mask: soft by a pixel, and in the store for the photo and for each version."""

from __future__ import annotations

import numpy as np

from data.annotation import Region
from pipeline.paint.mask import person_mask


def test_it_is_the_person_with_a_soft_edge() -> None:
    parsing = np.zeros((2, 24, 16), np.uint8)
    parsing[0, 4:20, 5:11] = Region.TROUSERS
    mask = person_mask(parsing)
    assert mask.dtype == np.uint8
    assert mask.shape == parsing.shape
    assert not mask[1].any()
    assert (mask[0, 7:17, 8] == 255).all()
    assert not mask[0, :, :2].any()
    edge = mask[0, 12, 3:8].astype(int)
    assert (np.diff(edge) >= 0).all()
    assert 0 < edge[1] < 128 < edge[2] < 255
    assert abs(mask[0].sum() / 255 - 16 * 6) < 1
