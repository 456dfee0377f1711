"""Folders as people have them: links, strange files, a level too much or too little."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from data import open_benchmark
from data.annotation import read_annotation
from data.readers import layout
from data.runtime.errors import InputError
from data.runtime.walk import walk
from data.walkers.dataset import Recipe, write_walkers

Make = Callable[..., None]


def test_links_that_lead_upwards_or_to_what_was_read_are_left_out_and_counted(
    tmp_path: Path, make_photos: Make, said: Callable[[], list[str]]
) -> None:
    make_photos("set/b/1.jpg", "set/c/2.jpg", "elsewhere/3.jpg")
    (tmp_path / "set/b/up").symlink_to(tmp_path)
    (tmp_path / "set/b/self").symlink_to(tmp_path / "set/b")
    (tmp_path / "set/a").symlink_to(tmp_path / "set/c")
    (tmp_path / "set/d").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set/e.jpg").symlink_to(tmp_path / "elsewhere/3.jpg")
    found = layout.images(tmp_path / "set")
    assert [path.relative_to(tmp_path / "set").as_posix() for path in found] == [
        "b/1.jpg",
        "c/2.jpg",
        "d/3.jpg",
        "e.jpg",
    ]
    assert list(walk(tmp_path / "set").files) == list(found)
    layout.images(tmp_path / "set")
    [line] = said()
    assert "3 links to folders that are read already are left out, such as" in line


def test_files_that_are_no_pictures_by_name_are_counted_once(
    tmp_path: Path, make_photos: Make, said: Callable[[], list[str]]
) -> None:
    make_photos("a.jfif", "b.JPG", "c.ppm", "d.webp")
    for name in ("e.heic", "f.heic", "notes", ".hidden", "Thumbs.db"):
        (tmp_path / name).write_bytes(b"x")
    assert [path.name for path in layout.images(tmp_path)] == ["a.jfif", "b.JPG", "c.ppm", "d.webp"]
    layout.images(tmp_path)
    [line] = said()
    assert line.endswith("3 files are left out, as they are no pictures by their names: 2 .heic, 1 without an ending")


PRCC = [f"rgb/train/001/{camera}_cropped_rgb001.jpg" for camera in "ABC"] + [
    f"rgb/test/{camera}/{person}/cropped_rgb001.jpg" for camera in "ABC" for person in ("002", "003")
]
FLAT = {
    "ltcc": ["train/144_1_c11_011239.png", "query/094_1_c9_015833.png", "test/094_2_c9_015834.png"],
    "vc-clothes": [
        f"{side}/0001-0{camera}-01-00.jpg" for side in ("train", "query", "gallery") for camera in (2, 3, 4)
    ],
    "celeb-reid": ["train/1_1_0.jpg", "query/2_1_0.jpg", "gallery/2_2_0.jpg"],
    "market1501": ["bounding_box_train/0002_c1s1_1.jpg", "query/0001_c1s1_1.jpg", "bounding_box_test/0001_c2s1_1.jpg"],
    "last": [
        "train/000007/000007_a_1.jpg",
        *(
            f"{split}/{place}"
            for split in ("val", "test")
            for place in ("query/000001_q.jpg", "gallery/000001/000001_g.jpg")
        ),
    ],
}


@pytest.mark.parametrize(
    "misplaced",
    [
        "rgb/test/A/004_x.jpg",
        "rgb/test/A/rgb/004/x.jpg",
        "rgb/train/A_cropped_rgb001.jpg",
        "rgb/train/more/001/A_x.jpg",
    ],
)
@pytest.mark.parametrize("name", ["prcc", "walkers"])
def test_a_level_too_much_or_too_little_is_refused(
    tmp_path: Path, make_photos: Make, name: str, misplaced: str
) -> None:
    make_photos(*PRCC)
    open_benchmark(name, tmp_path)
    make_photos(misplaced)
    with pytest.raises(InputError, match=r"at a level where it cannot be meant, expected \w+/<person>/<picture>"):
        open_benchmark(name, tmp_path)


@pytest.mark.parametrize("name", FLAT)
def test_every_reader_refuses_a_copy_inside_itself(tmp_path: Path, make_photos: Make, name: str) -> None:
    make_photos(*FLAT[name])
    open_benchmark(name, tmp_path)
    folder, _, inside = FLAT[name][0].partition("/")
    make_photos(f"{folder}/{folder}/{inside}")
    with pytest.raises(InputError, match="at a level where it cannot be meant"):
        open_benchmark(name, tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_lists_are_read_with_their_marks(tmp_path: Path, make_photos: Make, encoding: str) -> None:
    make_photos(*FLAT["ltcc"])
    (tmp_path / "info").mkdir()
    listing = tmp_path / "info/cloth-change_id_test.txt"
    listing.write_text("94\n", encoding=encoding)
    assert len(open_benchmark("ltcc-changing", tmp_path).settings["clothing-change"].query) == 1
    listing.write_bytes(b"94\xff\n")
    with pytest.raises(InputError, match="neither UTF-8 nor UTF-16"):
        open_benchmark("ltcc-changing", tmp_path)


def test_annotations_are_found_where_a_part_of_the_data_set_is_a_link(tmp_path: Path) -> None:
    recipe = Recipe(train_people=1, val_people=1, test_people=1, train_photos=1, test_photos=1, height=32, width=16)
    write_walkers(tmp_path / "walkers", recipe, jobs=1)
    (tmp_path / "walkers/rgb").rename(tmp_path / "photos")
    (tmp_path / "walkers/rgb").symlink_to(tmp_path / "photos")
    benchmark = open_benchmark("walkers", tmp_path / "walkers")
    assert read_annotation(benchmark.root, benchmark.train[0].path).parsing.shape == (32, 16)
    with pytest.raises(InputError, match="does not lie under"):
        read_annotation(benchmark.root, tmp_path / "photos/train/001/A_cropped_rgb001.jpg")
