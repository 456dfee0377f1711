"""A folder of photos without labels."""

from __future__ import annotations

import gc
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from data import open_benchmark
from data.check import format_summary, warnings
from data.runtime.errors import InputError

Make = Callable[..., None]


def test_every_picture_is_a_training_photo_whatever_the_nesting(
    tmp_path: Path, make_photos: Make, said: Callable[[], list[str]]
) -> None:
    names = ["a.png", "b c/2.JPG", "b c/d/é.webp"]
    make_photos(*names, ".hidden/x.png", "annotation/a.png.png")
    (tmp_path / "notes.txt").write_text("no picture")
    benchmark = open_benchmark("folder", tmp_path)
    assert benchmark.name == "folder"
    assert [record.path for record in benchmark.train] == [tmp_path / name for name in names]
    assert {(record.person, record.camera, record.clothes) for record in benchmark.train} == {(None, None, None)}
    assert benchmark.settings == {}
    assert warnings(benchmark) == []
    assert any("1 pictures are left out, as they are no photos: those in " in line for line in said())


def test_what_nobody_knows_is_not_counted(tmp_path: Path, make_photos: Make) -> None:
    make_photos("1.png", "2.png")
    lines = format_summary(open_benchmark("folder", tmp_path)).splitlines()
    assert lines[1].split() == ["train", "?", "2", "?", "?"]
    assert lines[2] == "no query and gallery: retrieval cannot be measured here"


def test_what_the_commands_write_is_no_photo(
    tmp_path: Path, make_photos: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_photos("work/sync/folder-1/preview/shard-00000.png", "annotation/2.png.png", "x/work/1.png", "2.png")
    monkeypatch.chdir(tmp_path)
    found = [record.path for record in open_benchmark("folder", Path(".")).train]
    assert found == [Path("2.png"), Path("x/work/1.png")]


def test_a_folder_among_what_the_commands_write_is_read_where_it_is_named(
    tmp_path: Path, make_photos: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_photos("work/datasets/folder/1.png")
    monkeypatch.chdir(tmp_path)
    [found] = open_benchmark("folder", Path("work/datasets/folder")).train
    assert found.path == Path("work/datasets/folder/1.png")


def test_photos_are_held_in_little_more_than_their_names(tmp_path: Path, make_photos: Make) -> None:
    make_photos("000000.png")
    for number in range(1, 3000):
        os.link(tmp_path / "000000.png", tmp_path / f"{number:06d}.png")
    open_benchmark("folder", tmp_path)  # Whatever is loaded once.
    gc.collect()
    tracemalloc.start()
    try:
        benchmark = open_benchmark("folder", tmp_path)
        gc.collect()
        held, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(benchmark.train) == 3000
    assert held < 20 * 3000
    assert most < 150 * 3000
    assert benchmark == open_benchmark("folder", tmp_path)


def test_a_folder_without_photos_is_refused(tmp_path: Path, make_photos: Make) -> None:
    with pytest.raises(InputError, match="no picture in it"):
        open_benchmark("folder", tmp_path)
    with pytest.raises(InputError, match="give the folder of your photos as DATA_ROOT"):
        open_benchmark("folder", tmp_path / "none")
    make_photos("annotation/a.png.png")
    with pytest.raises(InputError, match="no picture in it but annotations"):
        open_benchmark("folder", tmp_path)
