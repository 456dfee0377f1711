"""Each reader on a miniature of the layout its data set comes in, oddities included."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from data import names, open_benchmark
from data.benchmark import Setting
from data.record import ImageRecord
from data.runtime.errors import InputError

Make = Callable[..., None]
Said = Callable[[], list[str]]
Labels = tuple[str | None, str | None, str | None]


def labels(records: Sequence[ImageRecord]) -> list[Labels]:
    assert all(record.path.is_file() for record in records)
    return [(record.person, record.camera, record.clothes) for record in records]


def sides(setting: Setting) -> tuple[list[Labels], list[Labels]]:
    return labels(setting.query), labels(setting.gallery)


def test_vc_clothes(tmp_path: Path, make_photos: Make, said: Said) -> None:
    query = [f"query/0257-0{camera}-0{1 + (camera == 4)}-00.jpg" for camera in (1, 2, 3, 4)]
    gallery = [name.replace("query", "gallery").replace("-00.", "-07.") for name in query]
    make_photos("train/0001-01-01-00.jpg", "train/0001-04-02-03.JPG", *query, *gallery)
    (tmp_path / "gallery/Thumbs.db").write_bytes(b"x")
    benchmark = open_benchmark("vc-clothes", tmp_path)

    assert labels(benchmark.train) == [("0001", "01", "0001-01"), ("0001", "04", "0001-02")]
    two, three, four = ("0257", "02", "0257-01"), ("0257", "03", "0257-01"), ("0257", "04", "0257-02")
    assert sides(benchmark.settings["same-clothing"]) == ([two, three], [two, three])
    assert sides(benchmark.settings["clothing-change"]) == ([three, four], [three, four])
    assert len(benchmark.settings["standard"].query) == len(benchmark.settings["standard"].gallery) == 4
    assert benchmark.settings["standard"].shots == ("multi-shot",)
    assert said() == []
    make_photos("gallery/0257-05-01-00.jpg")
    assert len(open_benchmark("vc-clothes", tmp_path).settings["standard"].gallery) == 4
    [line] = said()
    assert "1 query and gallery photos are left out, as their cameras are none of 1 to 4" in line


LTCC = (
    "train/144_1_c11_011239.png",
    "query/094_1_c9_015833.png",
    "query/005_1_c2_000001.png",
    "test/094_2_c9_015834.png",
    "test/005_1_c3_000002.png",
)


def test_ltcc(tmp_path: Path, make_photos: Make) -> None:
    make_photos(*LTCC)
    benchmark = open_benchmark("ltcc", tmp_path)
    assert labels(benchmark.train) == [("144", "11", "144-1")]
    assert list(benchmark.settings) == ["clothing-change", "standard"]
    assert sides(benchmark.settings["clothing-change"]) == sides(benchmark.settings["standard"])
    assert sides(benchmark.settings["standard"]) == (
        [("005", "2", "005-1"), ("094", "9", "094-1")],
        [("005", "3", "005-1"), ("094", "9", "094-2")],
    )


def test_ltcc_with_only_those_who_change(tmp_path: Path, make_photos: Make) -> None:
    make_photos(*LTCC)
    with pytest.raises(InputError, match=r"info/cloth-change_id_test\.txt missing"):
        open_benchmark("ltcc-changing", tmp_path)
    (tmp_path / "info").mkdir()
    (tmp_path / "info/cloth-change_id_test.txt").write_text("94\n12\n")
    benchmark = open_benchmark("ltcc-changing", tmp_path)
    assert benchmark.name == "ltcc-changing"
    assert {name: sides(setting) for name, setting in benchmark.settings.items()} == {
        "clothing-change": ([("094", "9", "094-1")], [("094", "9", "094-2")])
    }
    (tmp_path / "info/cloth-change_id_test.txt").write_text("ninety-four\n")
    with pytest.raises(InputError, match=r"cloth-change_id_test\.txt: expected the number"):
        open_benchmark("ltcc-changing", tmp_path)


@pytest.mark.parametrize("name", ["celeb-reid", "celeb-reid-light"])
def test_celeb_reid(tmp_path: Path, make_photos: Make, name: str) -> None:
    make_photos("train/1_1_0.jpg", "train/1_2_0.jpg", "query/700_1_0.jpg", "gallery/700_2_0.jpg")
    benchmark = open_benchmark(name, tmp_path)
    assert benchmark.name == name
    assert labels(benchmark.train) == [("1", "train", None)] * 2
    ((query,), (photo,)) = sides(benchmark.settings["standard"])
    assert query == ("700", "query", None)
    assert photo == ("700", "gallery", None)
    assert benchmark.published["train"] == ((632, 20_208) if name == "celeb-reid" else (490, 9_021))


def test_deepchange(tmp_path: Path, make_photos: Make, said: Said) -> None:
    folders = ("train-set", "val-set-query", "val-set-gallery", "test-set-query", "test-set-gallery")
    for person, folder in enumerate(folders):
        listed, unlisted = (f"P{person}_C0{person}_20200{day}_08_00_1.jpg" for day in (1, 2))
        make_photos(f"{folder}/{listed}", f"{folder}/{unlisted}")
        (tmp_path / f"{folder}-bbox.txt").write_text(f"{listed},{100 + person}\n\n")
    benchmark = open_benchmark("deepchange", tmp_path)
    assert labels(benchmark.train) == [("0", "100", None)]
    assert sides(benchmark.validation["standard"]) == ([("1", "101", None)], [("2", "102", None)])
    assert sides(benchmark.settings["standard"]) == ([("3", "103", None)], [("4", "104", None)])

    assert len(said()) == 5
    assert "train-set-bbox.txt: 1 pictures are not in it and left out, such as " in said()[0]

    by_camera = open_benchmark("deepchange-cameras", tmp_path)
    assert by_camera.name == "deepchange-cameras"
    assert sides(by_camera.settings["standard"]) == ([("3", "03", None)], [("4", "04", None)])

    (tmp_path / "train-set-bbox.txt").write_text("P0_C00_1.jpg,1\nP0_C00_2.jpg\n")
    with pytest.raises(InputError, match=r"train-set-bbox\.txt, line 2: expected"):
        open_benchmark("deepchange", tmp_path)


def test_last(tmp_path: Path, make_photos: Make) -> None:
    make_photos("train/000007/000007_film_01_3.jpg", "train/000007/000007_film_02_1.jpg")
    for split in ("val", "test"):
        make_photos(f"{split}/query/000001_q.jpg", f"{split}/gallery/000001/000001_g.jpg", f"{split}/gallery/9/9_g.jpg")
    benchmark = open_benchmark("last", tmp_path)
    assert labels(benchmark.train) == [("000007", "train", "000007-3"), ("000007", "train", "000007-1")]
    expected = ([("000001", "query", None)], [("000001", "gallery", None), ("9", "gallery", None)])
    assert sides(benchmark.settings["standard"]) == sides(benchmark.validation["standard"]) == expected


def test_market1501_drops_junk_and_keeps_distractors(tmp_path: Path, make_photos: Make, said: Said) -> None:
    make_photos(
        "bounding_box_train/0002_c1s1_000451_03.jpg",
        "query/0001_c1s1_001051_00.jpg",
        "bounding_box_test/-1_c1s1_000401_03.jpg",
        "bounding_box_test/0000_c1s1_000151_01.jpg",
        "bounding_box_test/0001_c2s1_001976_01.jpg",
        "gt_bbox/0001_c1s1_001051_00.jpg",
    )
    (tmp_path / "bounding_box_test/Thumbs.db").write_bytes(b"x")
    benchmark = open_benchmark("market1501", tmp_path)
    assert labels(benchmark.train) == [("0002", "1", None)]
    assert sides(benchmark.settings["standard"]) == ([("0001", "1", None)], [("0000", "1", None), ("0001", "2", None)])
    open_benchmark("market1501", tmp_path)
    [line] = said()
    assert line.endswith("bounding_box_test: 1 detections of person -1 are left out, as they are to be")


def test_every_reader_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "something else").mkdir()
    for name in set(names()) - {"csv", "folder"}:
        with pytest.raises(InputError, match=r"is not laid out as .* missing, found something else/; give the folder"):
            open_benchmark(name, tmp_path)


def test_an_empty_folder_and_a_strange_name_are_refused(tmp_path: Path, make_photos: Make) -> None:
    make_photos("train/1_1_0.jpg", "query/700_1_0.jpg")
    (tmp_path / "gallery").mkdir()
    with pytest.raises(InputError, match="gallery: no picture in it"):
        open_benchmark("celeb-reid", tmp_path)
    make_photos("gallery/700_2_0.jpg", "gallery/selfie.jpg")
    with pytest.raises(InputError, match=r"selfie\.jpg: expected a name like 1_1_0\.jpg"):
        open_benchmark("celeb-reid", tmp_path)


def test_a_rule_that_needs_clothes_refuses_records_without() -> None:
    record = ImageRecord(Path("a.jpg"), "1", "1", None)
    with pytest.raises(InputError, match=r"a\.jpg: its clothes are unknown"):
        Setting("clothing-change", (record,), (record,))
    with pytest.raises(InputError, match="'best' is unknown"):
        Setting("best", (record,), (record,))
    with pytest.raises(InputError, match="gallery of the standard setting is empty"):
        Setting("standard", (record,), ())
    with pytest.raises(InputError, match=r"shots .*few"):
        Setting("standard", (record,), (record,), ("few",))
