"""Annotations that people already have: parsing PNGs, OpenPose JSON, key point CSVs; and the label spaces."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.photo import Photo
from data.runtime.errors import InputError
from pipeline.annotate.annotator import NoAnnotation
from pipeline.annotate.files import KeypointsCsv, OpenPoseFolder, ParsingFolder
from pipeline.annotate.label_spaces import LABEL_SPACES, to_regions


def photo(name: str, height: int = 40, width: int = 20) -> Photo:
    return Photo(Path("photos", name), name, np.zeros((height, width, 3), np.uint8))


def reason(found: object) -> str:
    assert isinstance(found, NoAnnotation)
    return found.reason


def joints_of(found: object) -> np.ndarray:
    assert isinstance(found, np.ndarray)
    return found


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
        assert isinstance(parsing, np.ndarray)
        np.testing.assert_array_equal(parsing, expected)
    assert reason(source([photo("absent.jpg")])[0]).startswith("absent.jpg: no parsing map for it")


def test_names_may_have_dots_spaces_and_other_letters(tmp_path: Path) -> None:
    write_map(tmp_path / "maps" / "größe 1.5 é.png", np.full((40, 20), 3))
    found = ParsingFolder(tmp_path / "maps", "pise")([photo("größe 1.5 é.jpg")])
    assert isinstance(found[0], np.ndarray)
    assert (found[0] == 3).all()


def test_bad_parsing_maps_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "maps"
    with pytest.raises(InputError, match="no such folder"):
        ParsingFolder(folder, "pise")
    write_map(folder / "strange.png", np.full((40, 20), 19))
    Image.new("RGB", (20, 40), (1, 2, 3)).save(folder / "colours.png")
    (folder / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\n cut")
    source = ParsingFolder(folder, "atr")
    for name, complaint in (
        ("strange", "label 19 is none of the 18 .* is the label space right"),
        ("colours", "a picture of colours"),
        ("damaged", "cannot be read"),
    ):
        assert re.search(rf"{name}\.png.*{complaint}", reason(source([photo(f"{name}.jpg")])[0]))


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
    assert "absent.jpg: no file of key points for it" in reason(absent)
    joints = joints_of(joints)
    assert np.isnan(joints[4]).all()
    np.testing.assert_array_equal(joints[5], [5.5, 10.5])
    assert np.isfinite(np.delete(joints, 4, 0)).all()


def test_openpose_with_25_joints_leaves_out_hips_and_feet(tmp_path: Path) -> None:
    person = np.stack([np.arange(25), np.arange(25), np.ones(25)], 1)
    write_openpose(tmp_path / "one_keypoints.json", [person])
    joints = joints_of(OpenPoseFolder(tmp_path)([photo("one.jpg")])[0])
    assert (joints[:, 0] - 0.5).tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18]


@pytest.mark.parametrize("content", ["", "{}", '{"people": [{"pose_keypoints_2d": [1, 2, 3]}]}', "[]", '{"people": 3}'])
def test_bad_openpose_files_are_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "one_keypoints.json").write_text(content)
    assert "one_keypoints.json: not OpenPose" in reason(OpenPoseFolder(tmp_path)([photo("one.jpg")])[0])
    with pytest.raises(InputError, match="no such folder"):
        OpenPoseFolder(tmp_path / "absent")


HEADER = "name:keypoints_y:keypoints_x"
ROW = f"{list(range(10, 28))}: {[-1, *range(1, 18)]}"


def test_csv_joints_by_path_or_name(tmp_path: Path) -> None:
    file = tmp_path / "points.csv"
    file.write_text(f"{HEADER}\nA/one.jpg: {ROW}\n\ntwo: odd.jpg: {ROW}\n", encoding="utf-8")
    source = KeypointsCsv(file)
    one, odd, absent = source([photo(name) for name in ("A/one.jpg", "B/two: odd.jpg", "absent.jpg")])
    assert "absent.jpg: no row of key points for it" in reason(absent)
    for joints in map(joints_of, (one, odd)):
        assert np.isnan(joints[0]).all()
        np.testing.assert_array_equal(joints[17], [17.5, 27.5])
    assert len(source.digest) == 64


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "empty or no text"),
        ("name,x,y\n", "first line is 'name,x,y'"),
        (f"{HEADER}\nb.jpg: [1, 2]: [3, 4]\nc.jpg: 1\n", "none of 2 rows can be read.*line 2.*2 and 2 numbers"),
        (f"{HEADER}\nb.jpg\n", "line 2"),
        (f"{HEADER}\nb.jpg: [1, x]: [2]\n", "line 2"),
    ],
)
def test_bad_csvs_are_named_with_the_line(tmp_path: Path, content: str, complaint: str) -> None:
    file = tmp_path / "points.csv"
    file.write_text(content)
    with pytest.raises(InputError, match=complaint):
        KeypointsCsv(file)
    with pytest.raises(InputError, match="no such file"):
        KeypointsCsv(tmp_path / "absent.csv")


@pytest.mark.parametrize("bad", ["bad.jpg: [1, 2]: [3, 4]", "bad.jpg: x", "bad.jpg", f"bad.jpg: {ROW[:-1]}"])
def test_a_bad_row_is_its_photo_s_fault(tmp_path: Path, bad: str) -> None:
    file = tmp_path / "points.csv"
    file.write_text(f"{HEADER}\ngood.jpg: {ROW}\n{bad}\n")
    source = KeypointsCsv(file)
    source.check(["good.jpg", "bad.jpg"])
    good, lacking = source([photo("good.jpg"), photo("bad.jpg")])
    assert joints_of(good).shape == (18, 2)
    assert f"{file}, line 3: no name and two lists of 18" in reason(lacking)
    before = source.digest_of("bad.jpg")
    file.write_text(f"{HEADER}\ngood.jpg: {ROW}\nbad.jpg: {ROW}\n")
    assert KeypointsCsv(file).digest_of("bad.jpg") != before
    assert KeypointsCsv(file).digest_of("good.jpg") == source.digest_of("good.jpg")


def named(*names: str) -> list[Photo]:
    return [photo(name) for name in names]


def test_a_file_that_could_belong_to_two_photos_is_refused(tmp_path: Path) -> None:
    names = ["001/A_1.jpg", "002/A_1.jpg"]
    write_map(tmp_path / "maps" / "A_1.png", np.full((40, 20), 3))
    write_openpose(tmp_path / "points" / "A_1_keypoints.json", [np.ones((18, 3))])
    (tmp_path / "points.csv").write_text(f"{HEADER}\n" + f"A_1.jpg: {ROW}\n" * 4)
    for source in (
        ParsingFolder(tmp_path / "maps", "pise"),
        OpenPoseFolder(tmp_path / "points"),
        KeypointsCsv(tmp_path / "points.csv"),
    ):
        with pytest.raises(InputError, match=r"001/A_1\.jpg or (of )?002/A_1\.jpg\?"):
            source.check(names)
        source.check(names[:1])
    write_map(tmp_path / "maps" / "002" / "A_1.png", np.full((40, 20), 3))
    ParsingFolder(tmp_path / "maps", "pise").check(names)
    write_map(tmp_path / "maps" / "a.png", np.full((40, 20), 3))
    with pytest.raises(InputError, match=r"of a\.jpg or of a\.png"):
        ParsingFolder(tmp_path / "maps", "pise").check(["a.jpg", "a.png"])
    other = f"{list(range(18))}: {list(range(18))}"
    (tmp_path / "points.csv").write_text(f"{HEADER}\nA_1.jpg: {ROW}\nA_1.jpg: {other}\n")
    with pytest.raises(InputError, match=r"line 3: 001/A_1\.jpg has other joints in line 2"):
        KeypointsCsv(tmp_path / "points.csv").check(names[:1])


@pytest.mark.parametrize(
    ("name", "file", "words"),
    [
        ("1.jpg", "1.jpg", "1.jpg"),
        ("1.jpg", "1_label.png", "1_label.png"),
        ("1.jpg", "1.PNG", "1.PNG"),
        ("gr\u00f6\u00dfe.jpg", "gro\u0308\u00dfe.png", "another form of Unicode"),
        ("1.jpg", "other.png", "other.png"),
    ],
)
def test_maps_that_match_no_photo_are_told_with_what_was_looked_for(
    tmp_path: Path, name: str, file: str, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    write_map(tmp_path / "z.png", np.full((40, 20), 3))
    source = ParsingFolder(tmp_path, "pise")
    (tmp_path / "z.png").rename(tmp_path / file)
    wanted = f"looked for {tmp_path / Path(name).stem}.png, found {tmp_path / file}"
    with pytest.raises(InputError, match=re.escape(f"0 of 1 photos have a parsing map: {wanted}")) as refused:
        source.check([name])
    assert words in str(refused.value)
    write_map(tmp_path / "there.png", np.full((40, 20), 3))
    source.check(["there.jpg", name])
    assert f"1 of 2 photos have a parsing map: {wanted}" in caplog.text


def test_key_points_that_match_no_photo_are_told(tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_text(f"{HEADER}\ntrain/1.jpg: {ROW}\n")
    with pytest.raises(InputError, match=r"0 of 1 photos .* looked for rgb/1\.jpg, found train/1\.jpg"):
        KeypointsCsv(tmp_path / "points.csv").check(["rgb/1.jpg"])
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=r"looked for .*1_keypoints\.json, nothing else is there"):
        OpenPoseFolder(tmp_path / "folder").check(["rgb/1.jpg"])


def test_what_is_no_map_is_its_photos_fault(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "link.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "text.png").write_text("no picture")
    write_map(tmp_path / "whole.png", np.full((40, 20), 3))
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:60])
    source = ParsingFolder(tmp_path, "pise")
    source.check(["folder.jpg", "link.jpg", "text.jpg", "cut.jpg", "whole.jpg"])
    for found in source(named("folder.jpg", "link.jpg", "text.jpg", "cut.jpg")):
        assert "cannot be read" in reason(found)
    assert isinstance(source(named("whole.jpg"))[0], np.ndarray)


def test_maps_in_three_equal_channels_are_read(tmp_path: Path) -> None:
    labels = np.repeat((np.arange(40) * 8 // 40).astype(np.uint8)[:, None], 20, 1)
    Image.fromarray(np.repeat(labels[..., None], 3, 2)).save(tmp_path / "a.png")
    alpha = np.full((40, 20, 1), 255, np.uint8)
    Image.fromarray(np.concatenate([np.repeat(labels[..., None], 3, 2), alpha], 2)).save(tmp_path / "b.png")
    for found in ParsingFolder(tmp_path, "pise")(named("a.jpg", "b.jpg")):
        assert isinstance(found, np.ndarray)
        np.testing.assert_array_equal(found, labels)


GOOD = np.stack([np.arange(18), np.arange(18) * 2, np.full(18, 0.9)], 1).ravel().tolist()


@pytest.mark.parametrize(
    "content",
    [
        {"people": [{"pose_keypoints_2d": GOOD}, None]},
        {"people": [{"pose_keypoints_2d": None}, {"pose_keypoints_2d": GOOD}]},
        {"people": [{"pose_keypoints_2d": []}, {"pose_keypoints_2d": GOOD}, {}]},
        {"people": [{"pose_keypoints_2d": GOOD[:51]}, {"pose_keypoints_2d": GOOD}]},
        {"people": [{"pose_keypoints_2d": ["x"] * 54}, {"pose_keypoints_2d": GOOD}]},
        {"people": [{"pose_keypoints": GOOD}]},
        [{"people": [{"pose_keypoints_2d": GOOD}], "canvas_width": 20}],
        [{"pose_keypoints_2d": GOOD}],
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_what_can_be_read_of_key_points_is_read(tmp_path: Path, content: object, encoding: str) -> None:
    (tmp_path / "one_keypoints.json").write_text(json.dumps(content), encoding=encoding)
    joints = joints_of(OpenPoseFolder(tmp_path)(named("one.jpg"))[0])
    np.testing.assert_array_equal(joints[5], [5.5, 10.5])


def test_nobody_and_nobody_readable_are_two_things(tmp_path: Path) -> None:
    source = OpenPoseFolder(tmp_path)
    for people in ("[]", "[null]", '[{"pose_keypoints_2d": []}]'):
        (tmp_path / "one_keypoints.json").write_text(f'{{"people": {people}}}')
        assert source(named("one.jpg")) == [None]
    (tmp_path / "one_keypoints.json").write_text(json.dumps({"people": [{"pose_keypoints_2d": GOOD[:51]}]}))
    assert "17 joints, neither 18 nor 25" in reason(source(named("one.jpg"))[0])
    points = [None if index % 3 == 2 and index < 9 else value for index, value in enumerate(GOOD)]
    (tmp_path / "one_keypoints.json").write_text(json.dumps({"people": [{"pose_keypoints_2d": points}]}))
    joints = joints_of(source(named("one.jpg"))[0])
    assert np.isnan(joints[:3]).all()
    assert np.isfinite(joints[3:]).all()


def test_a_csv_in_utf_16_is_read(tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_text(f"{HEADER}\none.jpg: {ROW}\n", encoding="utf-16")
    assert isinstance(KeypointsCsv(tmp_path / "points.csv")(named("one.jpg"))[0], np.ndarray)
