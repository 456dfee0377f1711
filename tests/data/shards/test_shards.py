from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import pickle
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.runtime.errors import InputError
from data.runtime.files import replacing
from data.shards import (
    Groups,
    Manifest,
    ShardStatus,
    SyncStore,
    newest_store,
    read_manifest,
    read_status,
    verify,
    write_manifest,
    writing_shard,
)

SIZE = (8, 4)
VERSIONS = 2
KEY = "0123abcd"
NAMES = ("plain.jpg", "two words.jpg", "größe/衣.jpg", "line\nbreak.jpg", os.fsdecode(b"not-utf8-\xff.jpg"))


def make_manifest(shards: tuple[ShardStatus, ...], finished: str | None = "now") -> Manifest:
    return Manifest(KEY, "d", "r", VERSIONS, SIZE, shards, finished, {})


def make_store(
    folder: Path, sizes: tuple[int, ...] = (3, 0, 4), finished: str | None = "2026-01-01T00:00:00+00:00"
) -> np.ndarray:
    """A store of random groups in shards of these sizes; the groups are given back."""
    random = np.random.default_rng(0)
    groups = random.integers(0, 256, (sum(sizes), 1 + VERSIONS, *SIZE, 3), dtype=np.uint8)
    folder.mkdir(parents=True, exist_ok=True)
    shards, start = [], 0
    for number, size in enumerate(sizes):
        rows = range(start, start + size)
        outlines = 1 if number == 2 else 1 + VERSIONS
        with writing_shard(folder / f"shard-{number:05d}.h5", VERSIONS, SIZE, KEY, {"software": "test"}) as shard:
            for row in rows:
                shard.add(
                    Groups(
                        images=groups[row : row + 1],
                        sources=[NAMES[row % len(NAMES)]],
                        digests=[sha256(groups[row, 0]).hexdigest()],
                        templates=np.array([[row, row + 1]], np.int32),
                        redrawn=np.array([row % 2 == 0]),
                        moved=np.array([[row, 0.5]], np.float32),
                        masks=groups[row : row + 1, :outlines, ..., 0],
                    )
                )
            shard.fail("torn\n.jpg", "truncated")
            shards.append(shard.status())
        start += size
    write_manifest(folder, make_manifest(tuple(shards), finished))
    return groups


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    folder = tmp_path_factory.mktemp("store")
    return folder, make_store(folder)


@pytest.fixture(scope="module")
def single_shard(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    folder = tmp_path_factory.mktemp("single")
    return folder, make_store(folder, (3,))


def test_groups_come_back_as_written_in_the_order_asked(made: tuple[Path, np.ndarray]) -> None:
    folder, groups = made
    store = SyncStore(folder)
    assert (len(store), store.versions, store.size, store.manifest.dataset) == (7, VERSIONS, SIZE, "d")
    order = [6, 0, 3, 3, 5, 2]
    np.testing.assert_array_equal(store.groups(order), groups[order])
    np.testing.assert_array_equal(store.groups(np.array(order)), groups[order])
    assert store.groups([]).shape == (0, 1 + VERSIONS, *SIZE, 3)
    for index in range(7):
        np.testing.assert_array_equal(store.group(index), groups[index])
        assert store.source(index) == NAMES[index % len(NAMES)]
        assert store.redrawn(index) == (index % 2 == 0)
        assert store.templates(index).tolist() == [index, index + 1]
        assert store.moved(index).tolist() == [index, 0.5]
    masks = groups[..., 0].copy()
    masks[3:] = masks[3:, :1]  # The last shard has one outline a group.
    np.testing.assert_array_equal(store.masks(order), masks[order])
    np.testing.assert_array_equal(store.masks([4, 6]), masks[[4, 6], :1])
    assert store.shards == [
        ("shard-00000.h5", range(0, 3)),
        ("shard-00001.h5", range(3, 3)),
        ("shard-00002.h5", range(3, 7)),
    ]


@pytest.mark.parametrize("index", [-1, 7])
def test_a_photo_outside_the_store_is_an_index_error(made: tuple[Path, np.ndarray], index: int) -> None:
    with pytest.raises(IndexError):
        SyncStore(made[0]).group(index)


def test_a_shard_says_what_is_in_it(made: tuple[Path, np.ndarray]) -> None:
    status = read_status(made[0] / "shard-00000.h5", KEY)
    assert (status.photos, status.redrawn, len(status.without_person)) == (3, 2, 1)
    assert SyncStore(made[0]).source(1) == status.without_person[0]
    assert status.failures == (("torn\n.jpg", "truncated"),)
    with h5py.File(made[0] / "shard-00000.h5") as file:
        assert file.attrs["software"] == "test"
        assert all(file[name].fletcher32 for name in ("images", "source/path", "source/sha256", "template", "redrawn"))
        assert file["images"].chunks == (1, 1 + VERSIONS, *SIZE, 3)


def test_little_more_than_the_path_is_pickled(made: tuple[Path, np.ndarray]) -> None:
    store = SyncStore(made[0])
    store.groups([0, 6])
    copy = pickle.loads(pickle.dumps(store))
    assert len(pickle.dumps(store)) < 1000
    np.testing.assert_array_equal(copy.groups([6, 0]), made[1][[6, 0]])


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_photos_that_came_in_while_a_training_reads_are_never_taken_for_others(tmp_path: Path, method: str) -> None:
    """A sync that tries failed photos again makes a shard anew under a store that is open."""
    make_store(tmp_path, (3, 4))
    store = SyncStore(tmp_path)
    with ProcessPoolExecutor(1, multiprocessing.get_context(method)) as pool:
        assert len(pool.submit(store.groups, [0, 5]).result()) == 2
        again = make_store(tmp_path, (4, 4))
        with pytest.raises(InputError, match="photos came in or went while this was at work"):
            pool.submit(store.groups, [0]).result()
    with pytest.raises(InputError, match="the manifest says"):
        store.groups([0])
    np.testing.assert_array_equal(SyncStore(tmp_path).groups([7]), again[[7]])


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_worker_processes_read_the_same(made: tuple[Path, np.ndarray], method: str) -> None:
    store = SyncStore(made[0])
    store.groups(range(7))
    with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
        read = list(pool.map(store.groups, [[6, 1], [0, 5, 6]]))
    np.testing.assert_array_equal(read[0], made[1][[6, 1]])
    np.testing.assert_array_equal(read[1], made[1][[0, 5, 6]])


def test_what_is_told_of_photos_keeps_no_shard_open(made: tuple[Path, np.ndarray]) -> None:
    def opened() -> int:
        return sum(os.path.realpath(link).endswith(".h5") for link in Path("/proc/self/fd").iterdir())

    before, store = opened(), SyncStore(made[0])
    assert [store.source(index) for index in (6, 0, 3)] == [NAMES[1], NAMES[0], NAMES[3]]
    assert opened() == before
    store.groups([6, 0, 3])
    assert opened() == before + 2


def test_more_shards_than_may_stay_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    groups = make_store(tmp_path, (1, 1, 1))
    monkeypatch.setattr("data.shards.store._MAX_OPEN", 2)
    store = SyncStore(tmp_path)
    order = [0, 1, 2, 1, 0, 2]
    np.testing.assert_array_equal(store.groups(order), groups[order])


def test_the_bytes_are_the_same_while_somebody_looks_at_every_frame(tmp_path: Path) -> None:
    make_store(tmp_path / "alone")
    frames = []
    sys.setprofile(lambda frame, *_: frames.append(frame))
    try:
        make_store(tmp_path / "watched")
    finally:
        sys.setprofile(None)
    assert len(frames) > 1000
    for name in ("shard-00000.h5", "shard-00001.h5", "shard-00002.h5"):
        assert (tmp_path / "alone" / name).read_bytes() == (tmp_path / "watched" / name).read_bytes()


def test_an_exception_leaves_no_file(tmp_path: Path) -> None:
    def fail() -> None:
        with writing_shard(tmp_path / "shard-00000.h5", VERSIONS, SIZE, KEY, {}) as shard:
            shard.add(_rows(1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_failed_rewrite_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def fail() -> None:
        with replacing(path) as temporary:
            temporary.write_text("new")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
    assert path.read_text() == "old"


def test_a_killed_writer_leaves_no_shard(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; sys.path.insert(0, '.')\n"
        "from pathlib import Path; import numpy as np; from data.shards import Groups, writing_shard\n"
        f"with writing_shard(Path({str(tmp_path / 'shard-00000.h5')!r}), 1, (4, 2), 'k', {{}}) as shard:\n"
        "    groups = np.zeros((9, 2, 4, 2, 3)), ['a'] * 9, ['b'] * 9, np.zeros((9, 1)), np.ones(9), np.ones((9,2))\n"
        "    shard.add(Groups(*groups))\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3])
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "shard-00000.h5").exists()


def test_a_folder_that_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"manifest\.json"):
        SyncStore(tmp_path)
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(InputError, match="damaged"):
        SyncStore(tmp_path)
    (tmp_path / "manifest.json").write_text('{"format": 99}')
    with pytest.raises(InputError, match="format 99"):
        SyncStore(tmp_path)


def test_a_manifest_comes_back_as_written(tmp_path: Path) -> None:
    shards = (ShardStatus("shard-00000.h5", 3, ("a.jpg",), (("b.jpg", "torn"),)), ShardStatus("shard-00001.h5", 0))
    manifest = dataclasses.replace(make_manifest(shards), recipe={"painter": "pise", "canvas": [64, None]})
    write_manifest(tmp_path, manifest)
    assert read_manifest(tmp_path) == manifest
    written = json.loads((tmp_path / "manifest.json").read_text())
    assert (written["photos"], written["redrawn"], written["without_person"]) == (3, 2, ["a.jpg"])
    assert written["failures"] == [{"path": "b.jpg", "reason": "torn"}]


def test_a_manifest_of_an_older_version_is_read(tmp_path: Path) -> None:
    facts = {"format": 2, "key": KEY, "dataset": "d", "root": "r", "photos": 3, "versions": VERSIONS, "size": SIZE}
    shards = [{"name": "shard-00000.h5", "photos": 3}]
    (tmp_path / "manifest.json").write_text(json.dumps({**facts, "finished": "now", "shards": shards}))
    assert read_manifest(tmp_path) == make_manifest((ShardStatus("shard-00000.h5", 3),))


def test_an_unfinished_store_is_refused(tmp_path: Path) -> None:
    make_store(tmp_path, finished=None)
    with pytest.raises(InputError, match="not finished"):
        SyncStore(tmp_path)
    with pytest.raises(InputError, match="not finished"):
        list(verify(tmp_path))


def test_the_newest_store(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="make one"):
        newest_store(tmp_path)
    for time, name in enumerate(("b", "a", "c", "torn")):
        make_store(tmp_path / name, (1,), finished=None if name == "c" else "now")
        os.utime(tmp_path / name / "manifest.json", (time, time))
    (tmp_path / "torn" / "manifest.json").write_text("{")
    assert newest_store(tmp_path) == newest_store(tmp_path, "d") == tmp_path / "a"
    os.utime(tmp_path / "b" / "manifest.json")
    assert newest_store(tmp_path) == tmp_path / "b"
    with pytest.raises(InputError, match="of other there"):
        newest_store(tmp_path, "other")


def test_missing_and_foreign_shards(tmp_path: Path) -> None:
    make_store(tmp_path)
    (tmp_path / "shard-00001.h5").unlink()
    with pytest.raises(InputError, match=r"shard-00001\.h5"):
        SyncStore(tmp_path)
    with writing_shard(tmp_path / "shard-00001.h5", VERSIONS, SIZE, "another", {}):
        pass
    faults = dict(verify(tmp_path))
    assert faults["shard-00000.h5"] is None
    assert "another" in str(faults["shard-00001.h5"])


def test_a_shard_of_another_length_than_the_manifest_says(tmp_path: Path) -> None:
    make_store(tmp_path)
    shutil.copy(tmp_path / "shard-00002.h5", tmp_path / "shard-00000.h5")
    with pytest.raises(InputError, match=r"shard-00000\.h5"):
        SyncStore(tmp_path).group(0)
    assert dict(verify(tmp_path))["shard-00000.h5"] is not None


@settings(max_examples=60, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_never_changes_what_is_read_unnoticed(
    single_shard: tuple[Path, np.ndarray], place: float, bit: int
) -> None:
    folder, groups = single_shard
    path = folder / "shard-00000.h5"
    whole = path.read_bytes()
    torn = bytearray(whole)
    torn[int(place * len(torn))] ^= 1 << bit
    path.write_bytes(torn)
    try:
        [(_, fault)] = verify(folder)
        if fault is None:
            np.testing.assert_array_equal(SyncStore(folder).groups([0, 1, 2]), groups)
    finally:
        path.write_bytes(whole)


def test_a_truncated_shard(tmp_path: Path) -> None:
    make_store(tmp_path)
    path = tmp_path / "shard-00002.h5"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="damaged"):
        SyncStore(tmp_path).group(6)
    path.write_bytes(b"")
    assert "damaged" in str(dict(verify(tmp_path))["shard-00002.h5"])


def test_photos_changed_since_are_found(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.jpg").write_bytes(b"as it was")
    rows = dataclasses.replace(_rows(1), sources=["a.jpg"], digests=[sha256(b"as it was").hexdigest()])
    with writing_shard(tmp_path / "shard-00000.h5", VERSIONS, SIZE, KEY, {}) as shard:
        shard.add(rows)
    write_manifest(tmp_path, make_manifest((ShardStatus("shard-00000.h5", 1),)))
    assert list(verify(tmp_path, root)) == [("shard-00000.h5", None)]
    (root / "a.jpg").write_bytes(b"other")
    assert "changed since" in str(dict(verify(tmp_path, root))["shard-00000.h5"])
    (root / "a.jpg").unlink()
    assert "gone" in str(dict(verify(tmp_path, root))["shard-00000.h5"])
    assert list(verify(tmp_path)) == [("shard-00000.h5", None)]


def _rows(count: int) -> Groups:
    images, templates = np.zeros((count, 1 + VERSIONS, *SIZE, 3), np.uint8), np.zeros((count, VERSIONS), np.int32)
    moved = np.zeros((count, 2), np.float32)
    return Groups(images, ["a"] * count, ["b"] * count, templates, np.ones(count, np.bool_), moved)
