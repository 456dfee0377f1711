"""The key of a store: all that decides a pixel, however it is reached, and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import data
from data.annotation import FOLDER
from pipeline.compose import make_plan
from pipeline.settings import SyncSettings


def photos_of(walkers: Path) -> list[Path]:
    return [record.path for record in data.open_benchmark("walkers", walkers).train]


def test_the_key_changes_with_all_that_decides_a_pixel_and_nothing_else(walkers: Path, random_weights: Path) -> None:
    def key(root: Path = walkers, **options: Any) -> str:
        standard = {"dataset": "walkers", "data_root": root, "weights": random_weights, "device": "cpu"}
        return make_plan(SyncSettings(**{**standard, **options})).key

    standard = key()
    shutil.copytree(walkers, "moved")
    assert key(root=Path("moved")) == standard
    other_weights = Path("other.safetensors")
    other_weights.write_bytes(random_weights.read_bytes()[:-4] + b"\0\0\0\1")
    keys = [
        standard,
        key(seed=1),
        key(bank=6),
        key(versions=3, bank=4),
        key(size=(128, 64)),
        key(keep_person=True),
        key(regions="3"),
        key(precision="bfloat16"),
        key(cut="template"),
        key(weights=other_weights),
    ]
    annotation = next((walkers / FOLDER).rglob("*.json"))
    annotation.write_text(annotation.read_text() + "\n")
    keys.append(key())
    photo = photos_of(walkers)[3]
    photo.write_bytes(photo.read_bytes() + b"\0")
    keys.append(key())
    photo.rename(photo.with_name("C_renamed.jpg"))
    keys.append(key())
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("linked", [FOLDER, f"{FOLDER}/rgb", f"{FOLDER}/rgb/train/001"])
def test_a_map_behind_a_link_is_in_the_key(walkers: Path, random_weights: Path, linked: str) -> None:
    settings = SyncSettings(dataset="walkers", data_root=walkers, weights=random_weights, device="cpu")
    straight = make_plan(settings).key
    (walkers / linked).rename("elsewhere")
    (walkers / linked).symlink_to(Path("elsewhere").absolute())
    assert make_plan(settings).key == straight
    photo = photos_of(walkers)[0]
    joints = walkers / FOLDER / f"{photo.relative_to(walkers)}.json"
    joints.write_text(joints.read_text() + " ")
    assert make_plan(settings).key != straight


@pytest.mark.parametrize("linked", [".", "people"])
def test_a_template_behind_a_link_is_in_the_key(walkers: Path, random_weights: Path, linked: str) -> None:
    people = Path("real")
    (people / linked).mkdir(parents=True, exist_ok=True)
    shown = [
        shutil.copy(photo, people / linked / f"{number}.jpg") for number, photo in enumerate(photos_of(walkers)[:4])
    ]
    if linked == ".":
        Path("templates").symlink_to(people)
    else:
        Path("templates").mkdir()
        Path("templates", linked).symlink_to((people / linked).absolute())
    settings = SyncSettings(
        dataset="walkers", data_root=walkers, weights=random_weights, device="cpu", templates=Path("templates")
    )
    before = make_plan(settings).key
    shutil.copy(photos_of(walkers)[9], shown[0])
    assert make_plan(settings).key != before
