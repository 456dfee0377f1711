"""A sync over a store that is there: what is whole is not read, what is not is made again, to the bit."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import data
from data.runtime.errors import InputError
from data.shards import newest_store, read_manifest, write_photos
from data.shards import photos as record
from pipeline.__main__ import main
from pipeline.compose import make_plan
from pipeline.settings import SyncSettings
from pipeline.sync.resume import recorded_shards, whole_shards

STORES = Path("work/sync")
POSITIONS = 200

Sync = Callable[..., str]


@pytest.fixture
def sync(walkers: Path, monkeypatch: pytest.MonkeyPatch) -> Sync:
    """Recolour the miniature walkers in three shards of six; gives what was said."""
    monkeypatch.setattr("pipeline.sync.plan.SHARD", 6)

    def call(*options: str) -> str:
        standard = ["sync", "--dataset", "walkers", "--painter", "recolour", "--device", "cpu", "--jobs", "1"]
        result = CliRunner().invoke(main, [*standard, *options])
        assert result.exit_code == 0, result.output
        return result.output

    return call


def digests(folder: Path) -> dict[str, str]:
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("shard-*.h5"))}


def inodes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_ino for path in folder.glob("shard-*.h5")}


def flip(path: Path, position: int) -> None:
    with path.open("r+b") as file:
        file.seek(position)
        [byte] = file.read(1)
        file.seek(position)
        file.write(bytes([byte ^ 0xFF]))


def test_a_store_is_the_same_to_the_bit_whenever_it_is_made(sync: Sync) -> None:
    sync()
    folder = newest_store(STORES)
    first = digests(folder)
    assert first == {shard.name: shard.seal.sha256 for shard in read_manifest(folder).shards if shard.seal}
    shutil.rmtree(folder)
    sync()
    assert digests(folder) == first


def test_any_flipped_byte_is_made_good_by_the_next_sync(sync: Sync) -> None:
    sync()
    folder = newest_store(STORES)
    whole = digests(folder)
    plan = make_plan(SyncSettings(dataset="walkers", painter="recolour", device="cpu"))
    assert plan.folder.name == folder.name
    recorded = recorded_shards(folder, plan.key)
    path = folder / "shard-00001.h5"
    size = path.stat().st_size
    for position in range(0, size, size // POSITIONS):
        flip(path, position)
        found, faults = whole_shards(plan.tasks, recorded, recorded)
        assert sorted(found) == ["shard-00000.h5", "shard-00002.h5"], f"byte {position} of {size}"
        assert str(path) in faults[0]
        flip(path, position)
    for position in (0, size // 2, size - 1):
        kept = inodes(folder)
        flip(path, position)
        said = sync()
        assert "shard-00001.h5: this shard is damaged" in said
        assert "(1 of 3 shards made now)" in said
        assert digests(folder) == whole
        assert {name for name, inode in inodes(folder).items() if inode != kept[name]} == {path.name}
    assert "complete already" in sync()


@pytest.mark.parametrize("bit", [0x01, 0x10, 0x80])
def test_any_flipped_bit_of_the_manifest_is_found_and_made_good(sync: Sync, bit: int) -> None:
    """But for white space, and the name of the digest itself: then it says what it said."""
    sync()
    folder = newest_store(STORES)
    whole, told = digests(folder), read_manifest(folder)
    path = folder / "manifest.json"
    written = path.read_bytes()
    unseen = 0
    for position in np.linspace(0, len(written) - 1, POSITIONS).astype(int):
        torn = bytearray(written)
        torn[position] ^= bit
        path.write_bytes(torn)
        try:
            found = read_manifest(folder)
        except InputError:
            continue
        assert found == told, f"byte {position}"
        unseen += 1
    assert unseen < POSITIONS / 4
    damaged = written.replace(b'"transparent": 0', b'"transparent": 1')
    assert damaged != written
    path.write_bytes(damaged)
    for command in ("verify", "status", "preview"):
        result = CliRunner().invoke(main, [command, str(folder)])
        assert (result.exit_code, "damaged (it is not as it was written)" in result.output) == (2, True), result.output
    assert "(0 of 3 shards made now)" in sync()
    assert digests(folder) == whole
    assert read_manifest(folder).shards == told.shards
    assert CliRunner().invoke(main, ["verify"]).exit_code == 0


def test_what_nothing_wrote_to_is_not_read_unless_asked_for(
    sync: Sync, walkers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for photo in data.open_benchmark("walkers", walkers).train:
        os.utime(photo.path, (0, 0))
    monkeypatch.setattr(record, "_SETTLED", -1)  # Their last change at all was a moment ago.
    sync()
    opened = _opened(monkeypatch)
    assert "complete already" in sync()
    shards = {path.name for path in newest_store(STORES).glob("shard-*")}
    photos = {photo.path.name for photo in data.open_benchmark("walkers", walkers).train}
    assert not opened & (shards | photos)
    assert "complete already" in sync("--deep")
    assert opened >= shards | photos


def _opened(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Names of the files that Python opens from now on."""
    names: set[str] = set()
    opening = Path.open

    def note(path: Path, *arguments: Any, **options: Any) -> Any:
        names.add(path.name)
        return opening(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", note)
    return names


def test_bytes_that_a_disk_has_spoilt_are_found_when_asked_for(sync: Sync, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file system tells of them: here its word is taken for it."""
    sync()
    folder = newest_store(STORES)
    flip(folder / "shard-00002.h5", 5000)
    monkeypatch.setattr("data.shards.seal.Seal.untouched", lambda *_: True)
    assert "complete already" in sync()
    assert CliRunner().invoke(main, ["verify"]).exit_code == 2
    said = sync("--deep")
    assert "shard-00002.h5: this shard is damaged" in said
    assert "(1 of 3 shards made now)" in said
    assert CliRunner().invoke(main, ["verify"]).exit_code == 0


def test_a_copy_of_a_store_is_read_once(sync: Sync) -> None:
    sync()
    folder = newest_store(STORES)
    shutil.copytree(folder, "copy")
    shutil.rmtree(folder)
    Path("copy").rename(folder)
    kept = inodes(folder)
    assert "complete already" in sync()
    assert inodes(folder) == kept
    shards = read_manifest(folder).shards
    assert all(shard.seal and shard.seal.untouched(folder / shard.name) for shard in shards)


def test_a_store_of_before_the_seals_gets_them(sync: Sync) -> None:
    sync()
    folder = newest_store(STORES)
    sealed = read_manifest(folder)
    content = json.loads((folder / "manifest.json").read_text())
    for shard in content["shards"]:
        del shard["seal"]
    for name in ("faults", "photos_per_second", "unpainted", "sha256"):
        del content[name]
    (folder / "manifest.json").write_text(json.dumps(content))
    (folder / "photos.npz").unlink()
    assert "complete already" in sync()
    assert read_manifest(folder).shards == sealed.shards


def test_a_photo_that_changed_unseen_is_refused_when_its_turn_comes(sync: Sync, walkers: Path) -> None:
    """A record that is wrong about a photo costs one line, never a wrong pixel."""
    plan = make_plan(SyncSettings(dataset="walkers", painter="recolour", device="cpu"))
    plan.folder.mkdir(parents=True)
    plan.photos.digests[7] = plan.photos.digests[8]
    wrong = record.PhotoRecord(
        plan.photos.root, time.time_ns() + 10**12, plan.photos.names, plan.photos.digests, plan.photos.status
    )
    write_photos(plan.folder, wrong)
    command = ["sync", "--dataset", "walkers", "--painter", "recolour", "--device", "cpu", "--jobs", "1"]
    result = CliRunner().invoke(main, command)
    assert (result.exit_code, "with --deep if that is said again" in result.output) == (1, True), result.output
    assert "18 photos redrawn" in sync("--deep")
    assert plan.folder != newest_store(STORES).absolute()
