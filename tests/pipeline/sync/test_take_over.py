"""A change to one photo's annotation leaves the shards of the others."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import data
from data.annotation import FOLDER
from data.shards import SyncStore, newest_store
from pipeline.__main__ import main
from tests.pipeline.sync.conftest import write_own_files

STORES = Path("work/sync")


@pytest.fixture
def sync(walkers: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., SyncStore]:
    """Recolour the miniature walkers by six of them, in shards of six; expects so many shards to be made."""
    monkeypatch.setattr("pipeline.sync.plan.SHARD", 6)
    monkeypatch.setattr("pipeline.paint.recolour.CANDIDATES", 6)

    def call(made: int, *options: str) -> SyncStore:
        standard = ["sync", "--dataset", "walkers", "--painter", "recolour", "--versions", "2", "--jobs", "1"]
        result = CliRunner().invoke(main, [*standard, *options])
        assert f"({made} of 3 shards made now)" in result.output, result.output
        return SyncStore(newest_store(STORES))

    return call


def relabel(png: Path) -> None:
    """Make a photo's trousers a skirt."""
    with Image.open(png) as picture:
        labels = np.array(picture)
        palette = picture.getpalette()
    labels[labels == 5] = 4
    changed = Image.fromarray(labels)
    if palette:
        changed.putpalette(palette)
    changed.save(png)


def bystander(store: SyncStore, walkers: Path) -> Path:
    """A photo of the last shard that gives no colours."""
    donors = np.random.default_rng(0).permutation(18)[:6]
    number = next(number for number in range(12, 18) if number not in donors)
    return walkers / store.source(number)


def test_shards_of_other_photos_are_taken_over_to_the_bit(sync: Callable[..., SyncStore], walkers: Path) -> None:
    first = sync(3)
    photo = bystander(first, walkers)
    relabel(walkers / FOLDER / f"{photo.relative_to(walkers)}.png")
    second = sync(1)
    assert second.path != first.path
    groups = second.groups(range(18))
    for store in (first, second):
        shutil.rmtree(store.path)
    fresh = sync(3)
    assert fresh.path == second.path
    np.testing.assert_array_equal(fresh.groups(range(18)), groups)
    assert CliRunner().invoke(main, ["verify"]).exit_code == 0


def test_where_all_colours_change_nothing_is_taken_over(sync: Callable[..., SyncStore], walkers: Path) -> None:
    first = sync(3)
    donor = walkers / first.source(int(np.random.default_rng(0).permutation(18)[0]))
    relabel(walkers / FOLDER / f"{donor.relative_to(walkers)}.png")
    sync(3)
    sync(3, "--seed", "1")


def test_a_damaged_shard_of_another_store_is_made_anew(sync: Callable[..., SyncStore], walkers: Path) -> None:
    first = sync(3)
    torn = bytearray((first.path / "shard-00000.h5").read_bytes())
    torn[len(torn) // 2] ^= 1
    (first.path / "shard-00000.h5").write_bytes(torn)
    relabel(walkers / FOLDER / f"{bystander(first, walkers).relative_to(walkers)}.png")
    sync(2)


def test_verify_names_the_annotation_that_changed(sync: Callable[..., SyncStore], walkers: Path) -> None:
    (walkers / FOLDER).rename("elsewhere")
    (walkers / FOLDER).symlink_to(Path("elsewhere").absolute())
    photo = bystander(sync(3), walkers).relative_to(walkers)
    assert CliRunner().invoke(main, ["verify"]).exit_code == 0
    relabel(Path("elsewhere", f"{photo}.png"))
    changed = CliRunner().invoke(main, ["verify"])
    assert (changed.exit_code, f"{photo}: its annotation has changed since the sync" in changed.output) == (2, True)
    assert "1 of its shards" in changed.output
    assert CliRunner().invoke(main, ["verify", "--no-photos"]).exit_code == 0
    (walkers / FOLDER).unlink()
    gone = CliRunner().invoke(main, ["verify"])
    assert (gone.exit_code, f"{FOLDER}: gone, so annotations are not compared" in gone.output) == (0, True), gone.output


def test_files_that_people_have_are_told_apart_by_photo(sync: Callable[..., SyncStore], walkers: Path) -> None:
    photos = [record.path for record in data.open_benchmark("walkers", walkers).train]
    own = write_own_files(photos, walkers)
    changed = bystander(sync(3, *own), walkers)
    relabel(Path("parsings", changed.relative_to(walkers)).with_suffix(".png"))
    result = CliRunner().invoke(main, ["verify"])
    assert f"annotation has changed since the sync ({Path('parsings').absolute()} (labels pise))" in result.output
    sync(1, *own)
    number = photos.index(changed) + 1
    rows = Path("keypoints.csv").read_text().splitlines()
    name, y, x = rows[number].split(": ")
    rows[number] = ": ".join([name, y.replace("[", "[1, ").rsplit(",", 1)[0] + "]", x])
    Path("keypoints.csv").write_text("\n".join(rows))
    result = CliRunner().invoke(main, ["verify"])
    assert f"annotation has changed since the sync ({Path('keypoints.csv').absolute()})" in result.output
    sync(1, *own)
    assert CliRunner().invoke(main, ["verify"]).exit_code == 0
