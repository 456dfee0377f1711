from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from data.annotation import Annotation, Region
from data.runtime.errors import InputError
from pipeline.framing import Canvas, crop, resize
from pipeline.paint.composite import keep_person


def photo(height: int, width: int, seed: int = 0) -> tuple[np.ndarray, Annotation]:
    """A smooth picture with one missing joint and one in the middle of a square of clothes."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 3, 3), dtype=np.uint8)
    joints = np.full((18, 2), np.nan, np.float32)
    joints[1] = width / 2, height / 2
    parsing = np.zeros((height, width), np.uint8)
    parsing[height // 4 : -(height // 4), width // 4 : -(width // 4)] = 3
    return resize(coarse, (height, width)), Annotation(joints, parsing)


@settings(max_examples=50, deadline=None)
@given(height=st.integers(8, 300), width=st.integers(8, 300), padding=st.sampled_from(["edge", "white", None]))
def test_photo_joints_and_parsing_land_on_the_same_place(height: int, width: int, padding: str | None) -> None:
    image, annotation = photo(height, width)
    canvas = Canvas(64, 48, padding)
    laid, placed, (top, left, bottom, right) = canvas.fit(image, annotation)
    assert laid.shape == (64, 48, 3)
    assert placed.parsing.shape == (64, 48)
    assert (bottom - top == 64) or (right - left == 48)
    np.testing.assert_allclose(placed.joints[1], [(left + right) / 2, (top + bottom) / 2], atol=1e-3)
    assert np.isnan(placed.joints[0]).all()
    np.testing.assert_array_equal(laid[top:bottom, left:right], resize(image, (bottom - top, right - left)))
    assert placed.parsing.sum() == placed.parsing[top:bottom, left:right].sum()
    if padding:
        assert abs((bottom - top) / (right - left) - height / width) <= 0.75 * max(1, height / width) / min(
            bottom - top, right - left
        )
        outside = np.ones((64, 48), bool)
        outside[top:bottom, left:right] = False
        if padding == "white":
            assert (laid[outside] == 255).all()
    else:
        assert (top, left, bottom, right) == (0, 0, 64, 48)


def test_edge_padding_continues_the_border() -> None:
    image, annotation = photo(64, 16)
    laid, _, box = Canvas(64, 64, "edge").fit(image, annotation)
    assert box == (0, 24, 64, 40)
    np.testing.assert_array_equal(laid[:, :24], np.repeat(image[:, :1], 24, 1))
    np.testing.assert_array_equal(laid[:, 40:], np.repeat(image[:, -1:], 24, 1))


def test_what_is_cut_back_is_the_photo() -> None:
    image, annotation = photo(120, 50)
    laid, _, box = Canvas(256, 256, "edge").fit(image, annotation)
    back = crop(torch.from_numpy(laid).permute(2, 0, 1)[None].float(), box, (120, 50))[0].permute(1, 2, 0).numpy()
    assert back.shape == image.shape
    assert np.abs(back - image).mean() < 1
    same = torch.rand(2, 3, 16, 16)
    assert torch.equal(crop(same, (0, 0, 16, 16), (16, 16)), same)


@pytest.mark.parametrize(("height", "width"), [(100, 64), (64, 8), (0, 16), (256, 130)])
def test_a_side_that_is_no_multiple_of_16_is_refused(height: int, width: int) -> None:
    with pytest.raises(InputError, match="multiples of 16"):
        Canvas(height, width)


def test_an_unknown_padding_is_refused() -> None:
    with pytest.raises(InputError, match="edge or white"):
        Canvas(64, 32, "black")


def test_only_the_clothes_are_taken_from_the_painting() -> None:
    random = np.random.default_rng(0)
    photos = random.integers(0, 256, (2, 256, 64, 3), dtype=np.uint8)
    painted = random.integers(0, 256, (2, 3, 256, 64, 3), dtype=np.uint8)
    worn = np.zeros((2, 256, 64), bool)
    worn[:, 100:150, 20:50] = True
    clothing = worn[:, None].repeat(3, 1)
    parsings = np.where(worn, Region.UPPER_CLOTHES, Region.BACKGROUND).astype(np.uint8)
    far = np.ones((256, 64), bool)
    far[97:153, 17:53] = False
    painted[:, :, far] = photos[:, None][:, :, far]
    mixed = keep_person(photos, painted, clothing, parsings, worn)
    np.testing.assert_array_equal(mixed[:, :, far], np.broadcast_to(photos[:, None], painted.shape)[:, :, far])
    np.testing.assert_array_equal(mixed[:, :, 103:147, 23:47], painted[:, :, 103:147, 23:47])
    near = ndimage.binary_dilation(worn[0], iterations=3)
    bright = np.where(near, 200, 0).astype(np.uint8)[None, None, ..., None].repeat(2, 0).repeat(3, 1).repeat(3, 4)
    row = keep_person(np.zeros_like(photos), bright, clothing, parsings, worn)[0, 0, 125, :35, 0]
    assert (np.diff(row.astype(int)) >= 0).all()
    assert len(np.unique(row)) > 4
    assert abs(int(row[19]) + int(row[20]) - 200) <= 1
