"""The walkers: drawn alike whatever the processes, clothes apart from people, in PRCC's layout."""

import hashlib
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from data import open_benchmark
from data.annotation import CLOTHING_REGIONS, Region, read_annotation
from data.photo import read_photo
from data.runtime.errors import InputError
from data.walkers.camera import CAMERAS, draw_shot
from data.walkers.dataset import Recipe, WalkerPhoto, photo_at, photos, read_recipe, scene, write_walkers
from data.walkers.person import draw_identity, draw_outfit
from data.walkers.plain import write_plain
from data.walkers.render import render

SMALL = Recipe(train_people=2, val_people=1, test_people=2, train_photos=2, test_photos=1, height=64, width=32)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("walkers") / "set"
    assert write_walkers(folder, SMALL, jobs=1)
    return folder


def digest(folder: Path) -> dict[str, str]:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_the_same_bytes_whatever_the_number_of_processes(root: Path, tmp_path: Path) -> None:
    write_walkers(tmp_path / "again", SMALL, jobs=2)
    assert digest(tmp_path / "again") == digest(root)


def test_another_seed_draws_other_people(root: Path, tmp_path: Path) -> None:
    write_walkers(tmp_path / "other", replace(SMALL, seed=1), jobs=1)
    there, here = digest(tmp_path / "other"), digest(root)
    assert there.keys() == here.keys()
    assert not any(there[name] == here[name] for name in here if name.endswith(".jpg"))


def test_prcc_reader_reads_them(root: Path) -> None:
    benchmark = open_benchmark("walkers", root)
    assert len(benchmark.train) == 2 * 3 * 2
    change, same = benchmark.settings["clothing-change"], benchmark.settings["same-clothing"]
    assert {record.person for record in change.query} == {record.person for record in change.gallery} == {"004", "005"}
    assert {record.camera for record in change.query} == {"C"}
    assert {record.camera for record in same.query} == {"B"}
    people = [
        {record.person for record in records}
        for records in (benchmark.train, benchmark.validation["clothing-change"].query, change.query)
    ]
    assert sum(map(len, people)) == len(set.union(*people))


def test_every_photo_has_its_annotation(root: Path) -> None:
    for record in open_benchmark("walkers", root).train:
        annotation = read_annotation(root, record.path)
        assert annotation.parsing.shape == read_photo(record.path).shape[:2]
        assert {3, 5, 6} <= set(np.unique(annotation.parsing).tolist())
        seen = annotation.joints[~np.isnan(annotation.joints[:, 0])]
        assert len(seen) >= 12
        assert (seen >= -4).all()
        assert (seen <= [32 + 4, 64 + 4]).all()


def test_cameras_a_and_b_see_the_same_outfit_and_c_another() -> None:
    outfits = {camera: scene(SMALL, WalkerPhoto("train", 1, camera, 1))[1] for camera in CAMERAS}
    people = {camera: scene(SMALL, WalkerPhoto("train", 1, camera, 1))[0] for camera in CAMERAS}
    assert outfits["A"] == outfits["B"] != outfits["C"]
    assert people["A"] == people["B"] == people["C"]


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), camera=st.sampled_from(sorted(CAMERAS)))
def test_other_clothes_leave_everything_else_as_it_was(seed: int, camera: str) -> None:
    rng = np.random.default_rng(seed)
    identity, outfit, shot = draw_identity(rng), draw_outfit(rng), draw_shot(rng, CAMERAS[camera])
    recoloured = replace(outfit, upper=(255 - outfit.upper[0], outfit.upper[1], outfit.upper[2]))
    first, annotation = render(identity, outfit, shot)
    second, same = render(identity, recoloured, shot)
    np.testing.assert_array_equal(annotation.parsing, same.parsing)
    np.testing.assert_array_equal(annotation.joints, same.joints)
    assert annotation.parsing.max() < len(Region)
    changed = np.abs(first.astype(int) - second).max(axis=2) > 25
    clothes = np.isin(annotation.parsing, CLOTHING_REGIONS)
    assert changed[~clothes].mean() < 0.02


@pytest.mark.parametrize("camera", sorted(CAMERAS))
def test_places_are_full_of_contrast_and_leave_people_as_they_were(camera: str) -> None:
    photo = WalkerPhoto("train", 3, camera, 2)
    plain, annotation = render(*scene(Recipe(), photo))
    placed, same = render(*scene(Recipe(places=True), photo))
    again, _ = render(*scene(Recipe(places=True), WalkerPhoto("train", 4, camera, 1)))
    np.testing.assert_array_equal(annotation.parsing, same.parsing)
    np.testing.assert_array_equal(annotation.joints, same.joints)
    behind = annotation.parsing == Region.BACKGROUND
    assert np.abs(plain.astype(int) - placed)[~behind].mean() < 5
    assert placed[behind].std() > 2 * plain[behind].std()
    corner = (slice(0, 16), slice(0, 16))  # where nobody stands: the same place, but for a small shift
    assert np.abs(placed[corner].mean((0, 1)) - again[corner].mean((0, 1))).max() < 40


@pytest.mark.parametrize("region", [3, 6])
def test_the_parsing_says_where_a_colour_is(region: int) -> None:
    rng = np.random.default_rng(3)
    shot = replace(draw_shot(rng, CAMERAS["A"]), yaw=0.0)
    identity = replace(draw_identity(rng), skin=(250.0, 0.0, 0.0))
    outfit = replace(draw_outfit(rng), upper=(0.0, 0.0, 250.0), pattern="plain", sleeve="short", lower_kind="shorts")
    photo, annotation = render(identity, outfit, shot, 256, 128)
    channel = {6: 0, 3: 2}[region]
    strongest = photo[annotation.parsing == region].astype(int)
    assert (strongest[:, channel] > strongest[:, 1] + 60).mean() > 0.9


def test_paths_lead_back_to_their_photos() -> None:
    everything = list(photos(SMALL))
    assert [photo_at(photo.path) for photo in everything] == everything
    with pytest.raises(InputError, match="not a photo of the walkers"):
        photo_at(Path("rgb/train/001/holiday.jpg"))


def test_a_second_call_does_nothing_and_another_recipe_is_refused(root: Path) -> None:
    before = digest(root)
    assert not write_walkers(root, SMALL)
    with pytest.raises(InputError, match="another recipe"):
        write_walkers(root, replace(SMALL, seed=7))
    assert digest(root) == before
    assert asdict(read_recipe(root)) == asdict(SMALL)


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(InputError, match="holds no walkers"):
        write_walkers(tmp_path, SMALL)
    assert [file.name for file in tmp_path.iterdir()] == ["letter.txt"]


def test_a_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("data.walkers.dataset._sheet", fail)
    with pytest.raises(KeyboardInterrupt):
        write_walkers(tmp_path / "set", SMALL, jobs=1)
    assert list(tmp_path.iterdir()) == []


def test_a_photo_is_drawn_as_it_always_was() -> None:
    pixels, annotation = render(*scene(Recipe(), WalkerPhoto("train", 3, "C", 2)))
    drawn = hashlib.sha256(pixels.tobytes() + annotation.parsing.tobytes()).hexdigest()
    assert drawn == "c5c63cd0db02656f2de88b47a3be26c9487daa2af33bc08ec383379ba7b6039b"


def test_plain_photos_show_people_and_tell_nothing_else(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    assert write_plain(root) == 24
    files = sorted(file for file in root.rglob("*") if file.is_file())
    assert [file.suffix for file in files] == [".jpg"] * 24
    pictures = [np.asarray(Image.open(file)) for file in files]
    assert {picture.shape for picture in pictures} == {(256, 128, 3)}
    assert len({picture.tobytes() for picture in pictures}) == 24
    assert write_plain(root, seed=1) == 0, "what is there stays"
    assert np.array_equal(np.asarray(Image.open(files[0])), pictures[0])
