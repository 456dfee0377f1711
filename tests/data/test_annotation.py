"""Annotations survive their files, their resizing, and become the maps the generator reads."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.annotation import Annotation, parsing_maps, pose_maps, read_annotation, write_annotation
from data.runtime.errors import InputError


def example() -> Annotation:
    rng = np.random.default_rng(0)
    joints = rng.uniform(0, 32, (18, 2)).astype(np.float32)
    joints[3] = np.nan
    return Annotation(joints, rng.integers(0, 8, (64, 32), dtype=np.uint8))


def test_files_give_back_what_was_written(tmp_path: Path) -> None:
    photo = tmp_path / "rgb" / "train" / "001" / "Ünï code 1.jpg"
    write_annotation(tmp_path, photo, example())
    back = read_annotation(tmp_path, photo)
    np.testing.assert_array_equal(back.parsing, example().parsing)
    np.testing.assert_allclose(back.joints, example().joints, atol=0.01)
    assert not list(tmp_path.rglob("*.part"))


def test_parsing_file_is_a_picture_with_a_colour_for_each_region(tmp_path: Path) -> None:
    write_annotation(tmp_path, tmp_path / "a.jpg", example())
    with Image.open(tmp_path / "annotation" / "a.jpg.png") as picture:
        colours = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    assert len(np.unique(colours, axis=0)) == 8


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n"])
def test_damaged_and_missing_files_are_named(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InputError, match=r"a\.jpg"):
        read_annotation(tmp_path, tmp_path / "a.jpg")
    write_annotation(tmp_path, tmp_path / "a.jpg", example())
    (tmp_path / "annotation" / "a.jpg.png").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.jpg\.png: damaged"):
        read_annotation(tmp_path, tmp_path / "a.jpg")


def test_resize_moves_joints_and_labels_together() -> None:
    half = example().resize(32, 16)
    assert half.parsing.shape == (32, 16)
    np.testing.assert_allclose(half.joints, example().joints / 2)
    assert example().resize(64, 32).parsing is not None


def test_pose_maps_peak_at_the_joint_and_are_empty_where_it_is_missing() -> None:
    joints = np.full((1, 18, 2), np.nan, dtype=np.float32)
    joints[0, 4] = (40.5, 100.5)
    maps = pose_maps(joints, 256, 128)
    assert maps.shape == (1, 18, 256, 128)
    assert maps.dtype == np.float32
    assert np.unravel_index(maps[0, 4].argmax(), (256, 128)) == (100, 40)
    assert maps[0, 4, 100, 40] == 1
    assert maps[0, 4, 100, 46] == pytest.approx(np.exp(-0.5))
    assert np.delete(maps[0], 4, axis=0).sum() == 0


def test_parsing_maps_are_one_hot() -> None:
    parsing = example().parsing[None]
    maps = parsing_maps(parsing)
    np.testing.assert_array_equal(maps.sum(axis=1), 1)
    np.testing.assert_array_equal(maps.argmax(axis=1), parsing)


def test_an_annotation_with_unknown_labels_is_refused() -> None:
    with pytest.raises(ValueError, match="labels 0 to 7"):
        Annotation(example().joints, np.full((4, 4), 8, dtype=np.uint8))
