"""BlazePose: joints and masks of rendered walkers whose pose and parsing are known."""

from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from data.annotation import Annotation, Joint
from data.photo import Photo
from data.walkers.camera import CAMERAS, draw_shot
from data.walkers.person import draw_identity, draw_outfit
from data.walkers.render import render
from pipeline.annotate.blazepose import BlazePose
from pipeline.annotate.blazepose.network import FILE
from pipeline.annotate.blazepose.square import Square


def photo(pixels: npt.NDArray[np.uint8]) -> Photo:
    return Photo(Path("walker.jpg"), "walker.jpg", pixels)


def walker(seed: int, height: int = 256, width: int = 128) -> tuple[npt.NDArray[np.uint8], Annotation]:
    """A rendered person in a drawn pose before a drawn background, with pose and parsing."""
    rng = np.random.default_rng(seed)
    return render(draw_identity(rng), draw_outfit(rng), draw_shot(rng, CAMERAS["ABC"[seed % 3]]), height, width)


@pytest.fixture(scope="module")
def blazepose() -> BlazePose:
    return BlazePose()


def test_joints_and_masks_of_walkers_are_where_they_are(blazepose: BlazePose) -> None:
    distances, overlaps = [], []
    for seed in range(24):
        pixels, truth = walker(seed)
        seen = blazepose.see(pixels)
        if seen is None:
            continue
        person = truth.parsing > 0
        rows = np.nonzero(person.any(1))[0]
        distances.append(np.linalg.norm(seen.joints - truth.joints, axis=1) / (rows[-1] + 1 - rows[0]))
        assert seen.mask.shape == person.shape
        overlaps.append(((seen.mask > 0.5) & person).sum() / ((seen.mask > 0.5) | person).sum())
    found = ~np.isnan(distances)
    assert len(distances) >= 23
    assert found.mean() > 0.8
    # In hundredths of the body's height. Walkers are cartoons; of rendered 3-D people it finds 92 % within 5.
    near = np.array(distances)[found]
    assert np.mean(near < 0.05) > 0.65
    assert np.mean(near < 0.1) > 0.88
    assert np.mean(overlaps) > 0.9


def test_the_neck_is_between_the_shoulders(blazepose: BlazePose) -> None:
    (joints,) = blazepose([photo(walker(3)[0])])
    assert joints is not None
    shoulders = joints[[Joint.LEFT_SHOULDER, Joint.RIGHT_SHOULDER]]
    np.testing.assert_allclose(joints[Joint.NECK], shoulders.mean(0), rtol=1e-6)


@pytest.mark.parametrize("size", [(96, 48), (1024, 512), (256, 384), (300, 100)])
def test_the_size_of_the_photo_does_not_matter(blazepose: BlazePose, size: tuple[int, int]) -> None:
    pixels, truth = walker(1, *size)
    seen = blazepose.see(pixels)
    assert seen is not None
    assert seen.mask.shape == size
    distance = np.linalg.norm(seen.joints - truth.joints, axis=1) / size[0]
    assert np.nanmedian(distance) < 0.05


def test_a_joint_out_of_sight_is_missing(blazepose: BlazePose) -> None:
    pixels, _ = walker(3)
    assert BlazePose(threshold=1)([photo(pixels)]) == [None]
    seen = blazepose.see(pixels[:180])
    assert seen is not None
    assert np.isnan(seen.joints[[Joint.LEFT_ANKLE, Joint.RIGHT_ANKLE]]).all()
    assert not np.isnan(seen.joints[[Joint.LEFT_HIP, Joint.RIGHT_HIP, Joint.NOSE]]).any()


def test_without_a_person_there_is_none(blazepose: BlazePose) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (256, 128, 3), np.uint8)
    photos = [photo(pixels) for pixels in (noise, np.zeros_like(noise), np.full_like(noise, 255))]
    assert blazepose(photos) == [None, None, None]
    assert blazepose([photo(noise[:1, :1])]) == [None]
    assert blazepose([]) == []


def test_of_several_people_the_one_in_the_middle_counts(blazepose: BlazePose) -> None:
    pixels, _ = walker(1)
    empty = np.repeat(pixels[:, :1], 128, 1)
    beside = np.concatenate([empty, empty, pixels], axis=1)
    assert blazepose.see(beside) is None
    middle = np.concatenate([empty, pixels, empty], axis=1)
    seen = blazepose.see(middle)
    assert seen is not None
    assert 128 < np.nanmin(seen.joints[:, 0]) < np.nanmax(seen.joints[:, 0]) < 256


def test_a_square_and_the_way_back() -> None:
    square = Square((30.0, 40.0), 64.0, angle=0.3)
    np.testing.assert_allclose(square.to_photo(np.array([128.0, 128.0])), [30, 40])
    # A turn to the right brings the middle of the upper edge to the right.
    up = square.to_photo(np.array([128.0, 0.0])) - [30, 40]
    np.testing.assert_allclose(up, [32 * np.sin(0.3), -32 * np.cos(0.3)])
    pixels = np.zeros((80, 60, 3), np.uint8)
    pixels[38:42, 28:32] = 255
    looked = square.look(pixels)
    rows, columns = np.nonzero(looked[..., 0] > 0.5)
    assert abs(rows.mean() - 127.5) < 1
    assert abs(columns.mean() - 127.5) < 1
    laid = square.mask_in_photo(looked[..., 0], 80, 60)
    np.testing.assert_allclose(laid, pixels[..., 0] / 255, atol=0.3)


def test_it_travels_in_a_pickle_without_the_network_and_its_digest_names_file_and_settings(
    blazepose: BlazePose,
) -> None:
    pixels, _ = walker(2)
    here = blazepose.see(pixels)
    content = pickle.dumps(blazepose)
    assert len(content) < 1000
    there = pickle.loads(content).see(pixels)
    assert here is not None
    np.testing.assert_array_equal(there.joints, here.joints)
    np.testing.assert_array_equal(there.mask, here.mask)
    assert pickle.loads(content).digest == blazepose.digest != BlazePose(threshold=0.3).digest
    known = (FILE.parent / "README.md").read_text(encoding="utf-8")
    assert hashlib.sha256(FILE.read_bytes()).hexdigest() in known


def test_loading_says_nothing() -> None:
    code = (
        "import numpy; from pipeline.annotate.blazepose import BlazePose; BlazePose().see(numpy.zeros((8, 8, 3), 'u1'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
