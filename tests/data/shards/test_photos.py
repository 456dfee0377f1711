"""The record of a store's photos: which need not be read again, and which are no longer what they were."""

from __future__ import annotations

import os
import shutil
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from data.photo import photos_digest, sizes_digest
from data.runtime.walk import walk
from data.shards import Changes, PhotoRecord, compare_photos, known_photos, read_photos, record_photos, write_photos
from data.shards.photos import rows_of

NAMES = ("plain.jpg", "two words.jpg", "größe/衣.jpg", os.fsdecode(b"not-utf8-\xff.jpg"), "folder/last.jpg")
LONG_AGO = 1_600_000_000_000_000_000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Photos that were written long ago."""
    root = tmp_path / "photos"
    for name in NAMES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode("utf-8", "surrogateescape"))
        os.utime(root / name, ns=(LONG_AGO, LONG_AGO))
    return root


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the photos whose bytes were read."""
    from data.shards import photos

    names: list[str] = []

    def digest(path: Path) -> str:
        names.append(path.name)
        return sha256(path.read_bytes()).hexdigest() if path.is_file() else ""

    monkeypatch.setattr(photos, "digest_file", digest)
    return names


def photos_in(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*.jpg") if path.is_file())


def settled(record: PhotoRecord) -> PhotoRecord:
    """The record as if it had been taken a minute later: a file's last change is not in anybody's hands."""
    return PhotoRecord(record.root, record.taken + 60_000_000_000, record.names, record.digests, record.status)


def test_the_files_that_a_walk_finds_are_recorded_as_a_list_of_them(root: Path, tmp_path: Path) -> None:
    found = walk(root).files
    record = record_photos(found, root)
    for other in (record_photos(list(found), root), record_photos(found[:], Path(os.path.relpath(root)))):
        for column in ("names", "digests", "status"):
            np.testing.assert_array_equal(getattr(record, column), getattr(other, column))
    assert sizes_digest(record.sizes()) == photos_digest(root, NAMES)


def test_a_record_comes_back_as_written(root: Path, tmp_path: Path) -> None:
    record = record_photos([*photos_in(root), root / "gone.jpg"], root)
    write_photos(tmp_path, record)
    again = read_photos(tmp_path)
    assert again is not None
    assert (again.root, again.taken) == (str(root), record.taken)
    for column in ("names", "digests", "status"):
        np.testing.assert_array_equal(getattr(again, column), getattr(record, column))
    digests = dict(zip(map(os.fsdecode, again.names), again.digests.tolist(), strict=True))
    assert digests["gone.jpg"] == b""
    for name in NAMES:
        assert digests[name].decode() == sha256((root / name).read_bytes()).hexdigest()
    sizes = {name: (root / name).stat().st_size for name in NAMES}
    assert list(again.sizes()) == sorted([*sizes.items(), ("gone.jpg", -1)])
    (tmp_path / "photos.npz").write_bytes((tmp_path / "photos.npz").read_bytes()[:-30])
    assert read_photos(tmp_path) is None


def test_only_photos_that_look_otherwise_are_read_again(root: Path, read: list[str]) -> None:
    first = settled(record_photos(photos_in(root), root))
    assert len(read) == len(NAMES)
    read.clear()
    assert record_photos(photos_in(root), root, first).known_by(first)
    assert read == []
    (root / "plain.jpg").write_bytes(b"PLAIN.jpg")
    os.utime(root / "plain.jpg", ns=(LONG_AGO, LONG_AGO))
    (root / "new.jpg").write_bytes(b"new")
    (root / "folder/last.jpg").unlink()
    second = record_photos(photos_in(root), root, first)
    assert sorted(read) == ["new.jpg", "plain.jpg"]
    assert second.digests.tolist() == record_photos(photos_in(root), root).digests.tolist()
    assert not second.known_by(first)


def test_a_photo_written_just_before_is_read_again(root: Path, read: list[str]) -> None:
    first = record_photos(photos_in(root), root)
    read.clear()
    second = record_photos(photos_in(root), root, first)
    assert len(read) == len(NAMES)
    assert not second.known_by(first)


def test_the_record_taken_last_of_this_folder_is_found(root: Path, tmp_path: Path) -> None:
    record = record_photos(photos_in(root), root)
    others = PhotoRecord(str(tmp_path / "elsewhere"), record.taken, record.names, record.digests, record.status)
    for time, (name, written) in enumerate((("d-1", record), ("d-2", record), ("d-3", others), ("e-4", record))):
        (tmp_path / name).mkdir()
        write_photos(tmp_path / name, PhotoRecord(written.root, time, written.names, written.digests, written.status))
        os.utime(tmp_path / name / "photos.npz", (time, time))
    found = known_photos(tmp_path, "d", root)
    assert found is not None
    assert found.taken == 1
    assert known_photos(tmp_path, "d", tmp_path / "nowhere") is None


def test_changed_gone_and_new_photos_are_named(root: Path, read: list[str]) -> None:
    record = record_photos(photos_in(root), root)
    moved = root.with_name("moved")
    shutil.copytree(root, moved)  # Keeps the times.
    read.clear()
    assert compare_photos(record, photos_in(moved), moved) == Changes((), (), ())
    assert read == []
    os.utime(moved / "plain.jpg")
    (moved / "two words.jpg").write_bytes(b"TWO WORDS.jpg")
    (moved / "folder/last.jpg").write_bytes(b"of another size than before")
    (moved / NAMES[2]).unlink()
    (moved / "new.jpg").write_bytes(b"new")
    changes = compare_photos(record, photos_in(moved), moved)
    assert changes == Changes(("folder/last.jpg", "two words.jpg"), (NAMES[2],), ("new.jpg",))
    assert sorted(read) == ["plain.jpg", "two words.jpg"]


def test_of_a_copy_with_other_times_only_some_are_read(
    root: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data.shards.photos._READ_AGAIN", 2)
    record = record_photos(photos_in(root), root)
    for photo in photos_in(root):
        os.utime(photo)
    read.clear()
    assert compare_photos(record, photos_in(root), root) == Changes((), (), ())
    assert len(read) == 2


def test_a_photo_is_found_in_a_record_of_any_order(root: Path) -> None:
    photos = photos_in(root)
    record = record_photos(photos[::-1], root)
    some = np.array([*record.names[[2, 0]], b"not there", b"", *record.names[[2]], b"\xff"])
    np.testing.assert_array_equal(rows_of(record, some), [2, 0, -1, -1, 2, -1])
    nothing = record.part(slice(0, 0))
    np.testing.assert_array_equal(rows_of(nothing, some), [-1] * 6)
    again = record_photos(photos, root, record)
    assert dict(zip(again.sources, again.sha256, strict=True)) == dict(zip(record.sources, record.sha256, strict=True))


def test_a_damaged_record_is_none_at_all(root: Path, tmp_path: Path) -> None:
    write_photos(tmp_path, record_photos(photos_in(root), root))
    path = tmp_path / "photos.npz"
    written = path.read_bytes()
    for damaged in (b"", written[:-1], written[:100], b"PK" + written, written.replace(b"plain.jpg", b"plaim.jpg")):
        assert damaged != written
        path.write_bytes(damaged)
        assert read_photos(tmp_path) is None
