"""Annotations that people already have: parsing PNGs, OpenPose JSON, key point CSVs; and the label spaces."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.photo import Photo
from data.runtime.errors import InputError
from pipeline.annotate.files import KeypointsCsv, OpenPoseFolder, ParsingFolder
from pipeline.annotate.label_spaces import LABEL_SPACES, to_regions


def photo(name: str, height: int = 40, width: int = 20) -> Photo:
    return Photo(Path("photos", name), name, np.zeros((height, width, 3), np.uint8))


def write_map(path: Path, labels: np.ndarray, palette: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(labels.astype(np.uint8))
    if palette:
        picture.putpalette(list(range(256)) * 3)
    picture.save(path)


@pytest.mark.parametrize(
    ("space", "labels", "regions"),
    [
        # hat, hair, sunglasses, upper, skirt, trousers, dress, belt, shoes, face, legs, arms, bag, scarf
        ("atr", range(18), [0, 1, 2, 7, 3, 4, 5, 3, 5, 5, 5, 7, 6, 6, 6, 6, 0, 3]),
        # glove, dress, coat, socks and jumpsuits are new
        ("lip", range(20), [0, 1, 2, 6, 7, 3, 3, 3, 5, 5, 3, 3, 4, 7, 6, 6, 6, 6, 5, 5]),
        # 10 is the bare torso
        ("cihp", range(20), [0, 1, 2, 6, 7, 3, 3, 3, 5, 5, 6, 3, 4, 7, 6, 6, 6, 6, 5, 5]),
        ("pise", range(8), range(8)),
    ],
)
def test_each_label_has_its_region(space: str, labels: range, regions: list[int]) -> None:
    assert to_regions(np.array([list(labels)]), space).tolist() == [list(regions)]
    assert to_regions(np.array([[255]]), space).tolist() == [[0]]
    with pytest.raises(InputError, match=f"label {len(labels)} is none of the {len(labels)}"):
        to_regions(np.array([[0, len(labels)]]), space)


def test_unknown_label_spaces_are_refused(tmp_path: Path) -> None:
    assert set(LABEL_SPACES) == {"pise", "atr", "lip", "cihp"}
    with pytest.raises(InputError, match="choose one of pise, atr, lip, cihp"):
        to_regions(np.zeros((1, 1), np.uint8), "coco")
    with pytest.raises(InputError, match="choose one of"):
        ParsingFolder(tmp_path, "coco")


def test_parsing_maps_lie_as_the_photos_do_or_flat(tmp_path: Path) -> None:
    folder = tmp_path / "maps"
    labels = np.arange(40)[:, None] * 20 // 40 + np.zeros((1, 20), int)
    write_map(folder / "A" / "one.png", labels)
    write_map(folder / "two.png", labels[::-1], palette=True)
    write_map(folder / "large.png", labels.repeat(2, 0).repeat(2, 1))
    source = ParsingFolder(folder, "lip")
    found = source([photo("A/one.jpg"), photo("B/two.jpg"), photo("large.jpg")])
    wanted = to_regions(labels, "lip")
    for parsing, expected in zip(found, (wanted, wanted[::-1], wanted), strict=True):
        assert parsing is not None
        np.testing.assert_array_equal(parsing, expected)
    assert source([photo("absent.jpg")]) == [None]


def test_names_may_have_dots_spaces_and_other_letters(tmp_path: Path) -> None:
    write_map(tmp_path / "maps" / "größe 1.5 é.png", np.full((40, 20), 3))
    found = ParsingFolder(tmp_path / "maps", "pise")([photo("größe 1.5 é.jpg")])
    assert found[0] is not None
    assert (found[0] == 3).all()


def test_bad_parsing_maps_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "maps"
    with pytest.raises(InputError, match="no such folder"):
        ParsingFolder(folder, "pise")
    write_map(folder / "strange.png", np.full((40, 20), 19))
    Image.new("RGB", (20, 40)).save(folder / "colours.png")
    (folder / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\n cut")
    source = ParsingFolder(folder, "atr")
    for name, complaint in (
        ("strange", "label 19 is none of the 18 .* is the label space right"),
        ("colours", "a picture of colours"),
        ("damaged", "cannot be read"),
    ):
        with pytest.raises(InputError, match=rf"{name}\.png.*{complaint}"):
            source([photo(f"{name}.jpg")])


def test_digests_follow_labels_and_files(tmp_path: Path) -> None:
    write_map(tmp_path / "maps" / "one.png", np.zeros((4, 4)))
    lip, cihp = (ParsingFolder(tmp_path / "maps", space).digest for space in ("lip", "cihp"))
    write_map(tmp_path / "maps" / "one.png", np.ones((4, 4)))
    assert len({lip, cihp, ParsingFolder(tmp_path / "maps", "lip").digest}) == 3


def write_openpose(path: Path, people: list[np.ndarray]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"version": 1.3, "people": [{"pose_keypoints_2d": person.ravel().tolist()} for person in people]}
    path.write_text(json.dumps(content))


def test_openpose_joints_of_the_surest_person(tmp_path: Path) -> None:
    sure = np.stack([np.arange(18), np.arange(18) * 2, np.full(18, 0.9)], 1)
    sure[4] = 0
    write_openpose(tmp_path / "A" / "one_keypoints.json", [sure * [1, 1, 0.1], sure])
    write_openpose(tmp_path / "nobody_keypoints.json", [])
    source = OpenPoseFolder(tmp_path)
    joints, nobody, absent = source([photo(f"A/{name}") for name in ("one.jpg", "nobody.jpg", "absent.jpg")])
    assert nobody is None
    assert absent is None
    assert joints is not None
    assert np.isnan(joints[4]).all()
    np.testing.assert_array_equal(joints[5], [5.5, 10.5])
    assert np.isfinite(np.delete(joints, 4, 0)).all()


def test_openpose_with_25_joints_leaves_out_hips_and_feet(tmp_path: Path) -> None:
    person = np.stack([np.arange(25), np.arange(25), np.ones(25)], 1)
    write_openpose(tmp_path / "one_keypoints.json", [person])
    (joints,) = OpenPoseFolder(tmp_path)([photo("one.jpg")])
    assert joints is not None
    assert (joints[:, 0] - 0.5).tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18]


@pytest.mark.parametrize("content", ["", "{}", '{"people": [{"pose_keypoints_2d": [1, 2, 3]}]}', "[]", '{"people": 3}'])
def test_bad_openpose_files_are_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "one_keypoints.json").write_text(content)
    with pytest.raises(InputError, match=r"one_keypoints\.json: not OpenPose"):
        OpenPoseFolder(tmp_path)([photo("one.jpg")])
    with pytest.raises(InputError, match="no such folder"):
        OpenPoseFolder(tmp_path / "absent")


HEADER = "name:keypoints_y:keypoints_x"
ROW = f"{list(range(10, 28))}: {[-1, *range(1, 18)]}"


def test_csv_joints_by_path_or_name(tmp_path: Path) -> None:
    file = tmp_path / "points.csv"
    file.write_text(f"{HEADER}\nA/one.jpg: {ROW}\n\ntwo: odd.jpg: {ROW}\n", encoding="utf-8")
    source = KeypointsCsv(file)
    one, odd, absent = source([photo(name) for name in ("A/one.jpg", "B/two: odd.jpg", "absent.jpg")])
    assert absent is None
    for joints in (one, odd):
        assert joints is not None
        assert np.isnan(joints[0]).all()
        np.testing.assert_array_equal(joints[17], [17.5, 27.5])
    assert len(source.digest) == 64


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "empty or no text"),
        ("name,x,y\n", "first line is 'name,x,y'"),
        (f"{HEADER}\na.jpg: {ROW}\nb.jpg: [1, 2]: [3, 4]\n", "line 3.*2 and 2 numbers"),
        (f"{HEADER}\nb.jpg\n", "line 2"),
        (f"{HEADER}\nb.jpg: [1, x]: [2]\n", "line 2"),
    ],
)
def test_bad_csvs_are_named_with_the_line(tmp_path: Path, content: str, complaint: str) -> None:
    file = tmp_path / "points.csv"
    file.write_text(content)
    with pytest.raises(InputError, match=rf"points\.csv.*{complaint}"):
        KeypointsCsv(file)
    with pytest.raises(InputError, match="no such file"):
        KeypointsCsv(tmp_path / "absent.csv")
