"""The composite: nothing of the old clothes shows beside the new ones, and the light is the photo's."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from data.annotation import CLOTHING_REGIONS, Region
from data.walkers.camera import CAMERAS, draw_shot
from data.walkers.person import draw_identity, draw_outfit
from data.walkers.render import render
from pipeline.paint.composite import keep_person, light, take_off

PEOPLE, OUTFITS, FOLDS = 40, 3, 10

Floats = npt.NDArray[np.floating[Any]]
Pictures = tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], npt.NDArray[np.bool_], npt.NDArray[np.uint8]]


def people(height: int, count: int = PEOPLE) -> Pictures:
    """Photos of people in three outfits each, flawless paintings of them in one outfit, old and new clothes, labels.

    A person's photos differ in nothing but the clothes, and all people have another background.
    """
    photos, paintings, clothing, parsings = [], [], [], []
    uniform = draw_outfit(np.random.default_rng(7))
    cameras = tuple(CAMERAS.values())
    for person in range(count):
        rng = np.random.default_rng((11, person))
        identity, shot = draw_identity(rng), draw_shot(rng, cameras[person % len(cameras)])
        painting, new = render(identity, uniform, shot, height, height // 2)
        for _ in range(OUTFITS):
            photo, old = render(identity, draw_outfit(rng), shot, height, height // 2)
            photos.append(photo)
            paintings.append(painting)
            clothing.append(np.isin(old.parsing, CLOTHING_REGIONS) | np.isin(new.parsing, CLOTHING_REGIONS))
            parsings.append(old.parsing)
    return np.stack(photos), np.stack(paintings)[:, None], np.stack(clothing)[:, None], np.stack(parsings)


def readable(beside: Floats, worn: Floats) -> float:
    """R² of the worn colours (N, 3) by a line in the colours beside (N, 3), fitted to other people than it is tried on.

    A person's mean is taken off both, as the background would else tell who it is.
    """
    each = [part.reshape(PEOPLE, OUTFITS, 3) for part in (beside, worn)]
    x, y = (part - part.mean(1, keepdims=True) for part in each)
    fold = np.arange(PEOPLE) % FOLDS
    found = np.empty_like(y)
    for out in range(FOLDS):
        others = x[fold != out].reshape(-1, 3)
        ridge = 1e-3 * np.eye(3) * len(others)
        line = np.linalg.solve(others.T @ others + ridge, others.T @ y[fold != out].reshape(-1, 3))
        found[fold == out] = x[fold == out] @ line
    return float(1 - ((y - found) ** 2).sum() / (y**2).sum())


def colour(pictures: npt.NDArray[np.uint8], where: npt.NDArray[np.bool_]) -> Floats:
    """Mean colours (N, 3) where (N, H, W) is true."""
    return np.stack([picture[mask].mean(0) for picture, mask in zip(pictures, where, strict=True)])


@pytest.mark.parametrize("height", [64, 128, 256])
def test_one_pixel_outside_the_clothes_the_old_colour_cannot_be_read(height: int) -> None:
    photos, paintings, clothing, parsings = people(height)
    worn = np.isin(parsings, CLOTHING_REGIONS)
    beside = ndimage.binary_dilation(worn, np.ones((1, 3, 3))) & ~worn
    assert readable(colour(photos, beside), colour(photos, worn)) > 0.2
    kept = keep_person(photos, paintings, clothing, parsings, worn)[:, 0]
    assert readable(colour(kept, beside), colour(photos, worn)) <= 0.05


def test_what_is_away_from_the_clothes_stays_to_the_bit() -> None:
    photos, paintings, clothing, parsings = people(64, 2)
    worn = np.isin(parsings, CLOTHING_REGIONS)
    kept = keep_person(photos, paintings, clothing, parsings, worn)[:, 0]
    near = ndimage.binary_dilation(clothing[:, 0], np.ones((1, 5, 5)))
    np.testing.assert_array_equal(kept[~near], photos[~near])
    inner = ndimage.binary_erosion(clothing[:, 0], np.ones((1, 5, 5)))
    assert np.abs(kept[inner].astype(int) - paintings[:, 0][inner]).mean() < 2


@pytest.mark.parametrize("exposure", [0.45, 0.7])
def test_a_dark_photo_does_not_come_out_in_daylight(exposure: float) -> None:
    photos, paintings, clothing, parsings = people(64, 2)
    dark = (photos * exposure).astype(np.uint8)
    worn = np.isin(parsings, CLOTHING_REGIONS)
    bright = keep_person(photos, paintings, clothing, parsings, worn)[:, 0]
    dimmed = keep_person(dark, paintings, clothing, parsings, worn)[:, 0]
    inner = ndimage.binary_erosion(clothing[:, 0], np.ones((1, 5, 5)))
    ratio = colour(dimmed, inner).mean() / colour(bright, inner).mean()
    assert ratio == pytest.approx(exposure, rel=0.1)


def test_a_photo_that_is_all_clothes_is_all_painting() -> None:
    photo = np.full((16, 8, 3), 90, np.uint8)
    everywhere = np.ones((16, 8), np.bool_)
    painted = np.full((1, 1, 16, 8, 3), 200, np.uint8)
    parsing = np.full((1, 16, 8), Region.UPPER_CLOTHES, np.uint8)
    mixed = keep_person(photo[None], painted, everywhere[None, None], parsing, everywhere[None])
    assert (mixed == 200).all()
    assert light(photo, painted[0, 0], ~everywhere) == 1


def test_a_photo_without_the_exchanged_clothes_is_left_as_it_is() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (16, 8, 3), np.uint8)
    bare, hole = take_off(photo, np.zeros((16, 8), np.uint8), np.zeros((16, 8), np.bool_))
    np.testing.assert_array_equal(bare, photo)
    assert not hole.any()
