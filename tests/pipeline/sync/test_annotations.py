"""What a sync makes of annotations that are missing, damaged, or not of the photos."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import data
from data.annotation import FOLDER, read_annotation
from data.shards import SyncStore, newest_store, read_manifest
from pipeline.__main__ import main
from tests.pipeline.sync.conftest import write_own_files

Sync = Callable[..., Result]


def photos_of(walkers: Path) -> list[Path]:
    return [record.path for record in data.open_benchmark("walkers", walkers).train]


def test_a_photo_without_an_annotation_is_listed_and_kept_with_copies(command: Sync, walkers: Path) -> None:
    photo = photos_of(walkers)[5]
    for file in (walkers / FOLDER / photo.relative_to(walkers).parent).glob(f"{photo.name}*"):
        file.unlink()
    result = command()
    assert result.exit_code == 0, result.output
    assert "1 photos have no annotation that can be used" in result.output
    assert "no person was found" not in result.output
    store = SyncStore(newest_store(Path("work/sync")))
    assert [store.redrawn(index) for index in range(18)] == [index != 5 for index in range(18)]
    np.testing.assert_array_equal(store.group(5), store.group(5)[:1].repeat(5, 0))
    assert np.isnan(store.moved(5)).all()
    assert store.manifest.redrawn == 17
    assert store.manifest.without_person == ()
    [(name, reason)] = store.manifest.unannotated
    assert walkers / name == photo
    assert "no annotation" in reason


def test_annotations_that_people_have_serve_in_place_of_the_data_sets_own(command: Sync, walkers: Path) -> None:
    own = write_own_files(photos_of(walkers)[1:], walkers)
    shutil.rmtree(walkers / FOLDER)
    result = command(*own)
    assert result.exit_code == 0, result.output
    assert "17 photos redrawn" in result.output
    assert not SyncStore(newest_store(Path("work/sync"))).redrawn(0)


def write_files(walkers: Path, turns: int = 0) -> tuple[str, ...]:
    """Write the annotations as parsing maps and OpenPose files, the maps turned; give the options that name them."""
    for photo in photos_of(walkers):
        annotation, name = read_annotation(walkers, photo), photo.relative_to(walkers)
        png, points = Path("maps", name).with_suffix(".png"), Path("points", name.parent, f"{name.stem}_keypoints.json")
        for file in (png, points):
            file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.rot90(annotation.parsing, turns)).save(png)
        found = ~np.isnan(annotation.joints[:, :1])
        joints = np.concatenate([np.nan_to_num(annotation.joints) - 0.5 * found, found], 1)
        points.write_text(json.dumps({"people": [{"pose_keypoints_2d": joints.ravel().tolist()}]}))
    return ("--parsing", "maps", "--labels", "pise", "--keypoints", "points")


def test_damaged_annotations_are_listed_with_their_photos_which_are_kept(command: Sync, walkers: Path) -> None:
    options = write_files(walkers)
    torn, garbage = photos_of(walkers)[3].relative_to(walkers), photos_of(walkers)[12].relative_to(walkers)
    Path("maps", torn).with_suffix(".png").write_bytes(b"\x89PNG\r\n\x1a\n cut")
    Path("points", garbage.parent, f"{garbage.stem}_keypoints.json").write_text("{")
    result = command(*options)
    assert result.exit_code == 0, result.output
    assert "2 photos have no annotation that can be used" in result.output
    store = SyncStore(newest_store(Path("work/sync")))
    assert (len(store), store.manifest.redrawn, store.manifest.without_person) == (18, 16, ())
    assert [name for name, _ in store.manifest.unannotated] == [torn.as_posix(), garbage.as_posix()]
    np.testing.assert_array_equal(store.group(3), store.group(3)[:1].repeat(5, 0))
    assert not store.redrawn(12)
    assert store.manifest.agreement is not None
    assert store.manifest.agreement > 0.9
    assert "complete already" in command(*options).output
    page = CliRunner().invoke(main, ["preview"])
    assert page.exit_code == 0, page.output
    html = next(Path("work/sync").rglob("index.html")).read_text()
    assert "Pose and parsing agree to 9" in html
    assert f"{torn.as_posix()}: " in html


def test_if_all_annotations_are_damaged_one_line_says_so(walkers: Path) -> None:
    options = write_files(walkers)
    for file in Path("maps").rglob("*.png"):
        file.write_text("no map")
    for painter in ("pise", "recolour"):
        chosen = ["--dataset", "walkers", "--painter", painter, "--jobs", "1"]
        result = CliRunner().invoke(main, ["sync", *chosen, *options])
        assert (result.exit_code, result.output.count("error: ")) == (2, 1), result.output
        assert "none of 18 photos has an annotation that can be used; the first: " in result.output


def test_doubts_about_pose_and_parsing_are_said_once(walkers: Path) -> None:
    options = write_files(walkers)
    for png in list(Path("maps").rglob("*.png"))[:9]:
        Image.fromarray(np.flipud(np.asarray(Image.open(png)))).save(png)
    chosen = ["--dataset", "walkers", "--painter", "recolour", *options, "--jobs", "1"]
    result = CliRunner().invoke(main, ["sync", *chosen])
    assert (result.exit_code, result.output.count("% only, by whether")) == (0, 1), result.output


def test_transparency_is_counted_and_said(walkers: Path) -> None:
    for photo in photos_of(walkers)[5:8]:
        with Image.open(photo) as picture:
            picture.putalpha(200)
            picture.save(photo, format="png")
    chosen = ["sync", "--dataset", "walkers", "--painter", "recolour", "--jobs", "1"]
    for _ in range(2):
        result = CliRunner().invoke(main, chosen)
        assert result.output.count("3 photos have transparent pixels, which are laid on white") == 1, result.output
    assert read_manifest(newest_store(Path("work/sync"))).transparent == 3


@pytest.mark.parametrize("painter", ["pise", "recolour"])
def test_maps_that_do_not_belong_to_the_photos_are_refused_before_the_work(walkers: Path, painter: str) -> None:
    options = write_files(walkers, turns=1)
    result = CliRunner().invoke(main, ["sync", "--dataset", "walkers", "--painter", painter, *options, "--jobs", "1"])
    assert (result.exit_code, result.output.count("error: ")) == (2, 1), result.output
    assert "points and parsing from" in result.output
    assert "agree to 0% only" in result.output
    assert not list(Path("work/sync").rglob("*.h5"))
