from __future__ import annotations

import dataclasses
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from data import open_benchmark
from data.__main__ import main
from data.check import format_summary, open_photos, unmeasurable, warnings

Make = Callable[..., None]


@pytest.fixture
def prcc(tmp_path: Path, make_photos: Make) -> Path:
    make_photos(*(f"rgb/train/003/{camera}_cropped_rgb001.jpg" for camera in "ABC"))
    make_photos(*(f"rgb/test/{camera}/{p}/cropped_rgb{i:03}.jpg" for camera in "ABC" for p in (4, 5) for i in (1, 2)))
    return tmp_path


def test_the_summary_counts_people_photos_cameras_and_outfits(prcc: Path, make_photos: Make) -> None:
    summary = format_summary(open_benchmark("prcc", prcc)).splitlines()
    lines = {re.split(" {2,}", line)[0]: re.split(" {2,}", line)[1:] for line in summary}
    assert lines["train"] == ["1", "3", "3", "2"]
    assert lines["clothing-change query"] == ["2", "4", "1", "2"]
    assert lines["same-clothing gallery"] == ["2", "4", "1", "2"]
    make_photos("c/train/1_1_0.jpg", "c/query/2_1_0.jpg", "c/gallery/2_2_0.jpg")
    celeb = format_summary(open_benchmark("celeb-reid", prcc / "c")).splitlines()
    assert celeb[1].split() == ["train", "1", "1", "1", "?"]


def test_counts_that_differ_from_the_published_ones_are_told(prcc: Path) -> None:
    found = warnings(open_benchmark("prcc", prcc))
    assert "train: 1 people, published 150" in found
    assert "train: 3 photos, published 17,896" in found
    assert "clothing-change query: 4 photos, published 3,543" in found
    assert warnings(open_benchmark("walkers", prcc)) == []


def test_what_makes_a_measurement_unfair_is_told(prcc: Path) -> None:
    benchmark = open_benchmark("walkers", prcc)
    setting = benchmark.settings["clothing-change"]
    stranger = dataclasses.replace(setting.query[0], person="stranger", path=Path("new.jpg"))
    unfair = dataclasses.replace(setting, query=(setting.gallery[0], benchmark.train[0], stranger))
    found = warnings(dataclasses.replace(benchmark, settings={"clothing-change": unfair}))
    assert [line.split(",")[0] for line in found] == [
        "clothing-change query: 1 photos are training photos too",
        "clothing-change: 1 photos are both query and gallery",
        "clothing-change: 2 query photos are of people whom the gallery does not hold",
        "clothing-change: no query has a match in the gallery",
    ]


def test_a_setting_that_cannot_be_measured_is_told_with_its_reason(prcc: Path) -> None:
    setting = open_benchmark("walkers", prcc).settings["clothing-change"]
    assert unmeasurable(setting) is None
    one_camera = tuple(dataclasses.replace(record, camera="A") for record in setting.query)
    assert "all photos are of one camera (A)" in str(unmeasurable(dataclasses.replace(setting, query=one_camera)))
    strangers = tuple(dataclasses.replace(record, person="x") for record in setting.query)
    assert "nobody in a query is in the gallery" in str(unmeasurable(dataclasses.replace(setting, query=strangers)))
    same = tuple(dataclasses.replace(record, clothes=f"{record.person}-AB") for record in setting.query)
    assert "in other clothes" in str(unmeasurable(dataclasses.replace(setting, query=same)))
    wrong = dataclasses.replace(
        open_benchmark("walkers", prcc), validation={"clothing-change": dataclasses.replace(setting, query=one_camera)}
    )
    assert any(line.startswith("validation clothing-change: no query has a match") for line in warnings(wrong))


def test_a_gallery_of_one_person_is_told(prcc: Path) -> None:
    benchmark = open_benchmark("walkers", prcc)
    setting = benchmark.settings["same-clothing"]
    alone = dataclasses.replace(setting, gallery=tuple(record for record in setting.gallery if record.person == "4"))
    found = warnings(dataclasses.replace(benchmark, settings={"same-clothing": alone}))
    assert "same-clothing: the gallery shows one person (4) alone: every ranking is right" in found


@pytest.mark.parametrize("jobs", [1, 2])
def test_damaged_photos_are_listed_in_order_whatever_the_processes(prcc: Path, jobs: int) -> None:
    photos = sorted(prcc.rglob("*.jpg"))
    whole = photos[3].read_bytes()
    photos[3].write_bytes(whole[: len(whole) // 2])
    photos[1].write_bytes(b"")
    Image.new("RGBA", (4, 4), (9, 9, 9, 0)).save(photos[5], "PNG")
    Image.new("RGBA", (4, 4), (9, 9, 9, 255)).save(photos[6], "PNG")
    opened = open_photos(photos * 10, jobs)
    assert opened.transparent == 10
    found = opened.damaged
    assert len(found) == 20
    assert found[0].startswith(f"{photos[1]}: the file is empty")
    assert found[1].startswith(f"{photos[3]}: the picture cannot be read")


def test_the_command_says_what_there_is_and_what_is_wrong(prcc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["check", "--dataset", "walkers", "--data-root", str(prcc), "--jobs", "1"]
    good = CliRunner().invoke(main, arguments)
    assert good.exit_code == 0
    assert "clothing-change: ranked single-shot and multi-shot over 10 draws" in good.output
    assert good.output.endswith("all 15 photos can be read\n")

    (prcc / "rgb/train/003/A_cropped_rgb001.jpg").write_bytes(b"not a picture")
    bad = CliRunner().invoke(main, arguments)
    assert bad.exit_code == 2
    assert "A_cropped_rgb001.jpg: this is not a picture in a known format" in bad.output
    assert bad.output.endswith("error: 1 of 15 photos cannot be read (named above)\n")

    monkeypatch.chdir(prcc)
    nowhere = CliRunner().invoke(main, ["check", "--dataset", "prcc"])
    assert nowhere.exit_code == 2
    assert nowhere.output.startswith("error: work/datasets/prcc is not a folder: give the folder PRCC was unpacked in")
    assert nowhere.output.count("\n") == 1


@pytest.mark.slow
def test_an_interrupt_ends_the_check_and_its_processes(tmp_path: Path) -> None:
    Image.new("L", (7000, 9000)).save(tmp_path / "0.png")
    for number in range(1, 80):
        (tmp_path / f"{number}.png").hardlink_to(tmp_path / "0.png")
    rows = [f"{number}.png,person {number // 2 % 2},{'query' if number % 2 else 'gallery'}" for number in range(80)]
    (tmp_path / "big.csv").write_text("\n".join(["path,person,split", *rows]))
    command = [sys.executable, "-m", "data", "check", "--dataset", "csv", "--data-root", str(tmp_path), "--jobs", "2"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as check:
        assert check.stdout is not None
        while not check.stdout.readline().startswith("standard: ranked"):
            assert check.poll() is None
        time.sleep(0.5)
        check.send_signal(signal.SIGTERM)
        _, errors = check.communicate(timeout=60)
    assert (check.returncode, errors) == (130, "interrupted: repeat the same command to go on\n")
    with pytest.raises(ProcessLookupError):
        os.killpg(check.pid, 0)
