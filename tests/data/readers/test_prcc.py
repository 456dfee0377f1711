from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from data import names, open_benchmark
from data.runtime.errors import InputError

TEST = [
    f"rgb/test/{camera}/{person}/cropped_rgb{i:03}.jpg" for camera in "ABC" for person in ("041", "7") for i in (1, 2)
]
TRAIN = [f"rgb/train/003/{camera}_cropped_rgb001.jpg" for camera in "ABC"]
VAL = [f"rgb/val/003/{camera}_cropped_rgb002.jpg" for camera in "ABC"]


def test_prcc_as_distributed(tmp_path: Path, make_photos: Callable[..., None]) -> None:
    make_photos(*TRAIN, *VAL, *TEST, "rgb/train/003/nested/B_cropped_rgb009.JPG", "sketch/train/003/A_x.jpg")
    (tmp_path / "rgb/train/003/Thumbs.db").write_bytes(b"x")
    (tmp_path / "rgb/train/003/._A_cropped_rgb001.jpg").write_bytes(b"x")
    benchmark = open_benchmark("prcc", tmp_path)

    assert [(r.person, r.camera, r.clothes) for r in benchmark.train] == [
        ("003", "A", "003-AB"),
        ("003", "B", "003-AB"),
        ("003", "C", "003-C"),
        ("003", "B", "003-AB"),
    ]
    assert all(record.path.is_file() for record in benchmark.train)
    change, same = benchmark.settings["clothing-change"], benchmark.settings["same-clothing"]
    assert {r.camera for r in change.query} == {"C"}
    assert {r.camera for r in same.query} == {"B"}
    assert change.gallery == same.gallery
    assert [str(r.path.relative_to(tmp_path)) for r in change.gallery] == sorted(TEST[:4])
    assert change.shots == ("single-shot", "multi-shot")
    assert change.draws == 10
    assert [r.camera for r in benchmark.validation["clothing-change"].gallery] == ["A"]


def test_walkers_are_read_as_prcc(tmp_path: Path, make_photos: Callable[..., None]) -> None:
    make_photos(*TRAIN, *TEST)
    benchmark = open_benchmark("walkers", str(tmp_path))
    assert benchmark.name == "walkers"
    assert benchmark.validation == {}
    assert {"prcc", "walkers"} <= set(names())


def test_a_folder_laid_out_otherwise_is_refused(tmp_path: Path, make_photos: Callable[..., None]) -> None:
    with pytest.raises(InputError, match="not a folder"):
        open_benchmark("prcc", tmp_path / "nowhere")
    make_photos("prcc/" + TRAIN[0])
    with pytest.raises(InputError, match=r"rgb/train, .* missing, found prcc/"):
        open_benchmark("prcc", tmp_path)
    with pytest.raises(InputError, match=r"'viper' is unknown: choose one of .*prcc"):
        open_benchmark("viper", tmp_path)


def test_a_photo_whose_name_has_no_camera_is_refused(tmp_path: Path, make_photos: Callable[..., None]) -> None:
    make_photos(*TRAIN, *TEST, "rgb/train/003/holiday.jpg")
    with pytest.raises(InputError, match=r"holiday.jpg: expected a name like"):
        open_benchmark("prcc", tmp_path)


def test_the_ground_floor_needs_no_network_library() -> None:
    code = "import data, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
