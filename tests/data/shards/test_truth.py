"""Whatever happens to a shard's bytes is found, by name; what nothing has written to is known without being read."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import h5py
import numpy as np
import pytest

from data.shards import FORMAT, Groups, Manifest, check_shard, read_manifest, verify, write_manifest, writing_shard

KEY, VERSIONS, SIZE = "0123abcd", 2, (8, 4)
POSITIONS = 200


def write_shard(path: Path, key: str = KEY) -> None:
    random = np.random.default_rng(0)
    with writing_shard(path, VERSIONS, SIZE, key, {"recipe": "{}"}) as shard:
        shard.add(
            Groups(
                images=random.integers(0, 256, (6, 1 + VERSIONS, *SIZE, 3), np.uint8),
                sources=[f"folder/photo {row}.jpg" for row in range(6)],
                digests=[sha256(bytes([row])).hexdigest() for row in range(6)],
                templates=np.zeros((6, VERSIONS), np.int32),
                redrawn=np.ones(6, np.bool_),
                moved=np.zeros((6, 2), np.float32),
            )
        )
        shard.fail("torn.jpg", "truncated")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of one shard; not to be changed."""
    folder = tmp_path_factory.mktemp("written")
    write_shard(folder / "shard-00000.h5")
    status = check_shard(folder / "shard-00000.h5", KEY, VERSIONS, SIZE, None)
    write_manifest(folder, Manifest(KEY, "d", "r", VERSIONS, SIZE, (status,), "now", {}))
    return folder


@pytest.fixture
def store(written: Path, tmp_path: Path) -> Path:
    shutil.copytree(written, tmp_path / "store")
    return tmp_path / "store"


def fault(store: Path) -> str | None:
    [(name, wrong)] = verify(store)
    assert name == "shard-00000.h5"
    return wrong


def test_any_flipped_byte_is_found_by_name(store: Path) -> None:
    path = store / "shard-00000.h5"
    whole = path.read_bytes()
    positions = np.linspace(0, len(whole) - 1, POSITIONS).astype(int)
    assert len(set(positions)) == POSITIONS
    assert fault(store) is None
    for position in positions:
        torn = bytearray(whole)
        torn[position] ^= 0xFF
        path.write_bytes(torn)
        assert f"{path}: " in str(fault(store)), f"byte {position} of {len(whole)}"
    path.write_bytes(whole)
    assert fault(store) is None


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def lengthen(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\0")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def replace_by_another_stores(path: Path) -> None:
    write_shard(path, "another")


def make_newer(path: Path) -> None:
    with h5py.File(path, "r+", locking=False) as file:
        file.attrs["format"] = FORMAT + 1


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (truncate, "damaged"),
        (lengthen, "its bytes are not those that were written"),
        (empty, "damaged"),
        (Path.unlink, "missing"),
        (replace_by_another_stores, "made by another sync (key another"),
        (make_newer, f"a shard of format {FORMAT + 1}, but this program reads {FORMAT}"),
    ],
)
def test_what_else_may_become_of_a_shard(store: Path, harm: Callable[[Path], None], said: str) -> None:
    harm(store / "shard-00000.h5")
    assert said in str(fault(store))


def test_a_manifest_without_seals_still_serves(store: Path) -> None:
    manifest = read_manifest(store)
    [shard] = manifest.shards
    write_manifest(store, dataclasses.replace(manifest, shards=(dataclasses.replace(shard, seal=None),)))
    assert fault(store) is None
    path = store / "shard-00000.h5"
    torn = bytearray(path.read_bytes())
    with h5py.File(path, "r", locking=False) as file:
        torn[file["images"].id.get_chunk_info(3).byte_offset] ^= 1
    path.write_bytes(torn)
    assert "group 3" in str(fault(store))


def test_a_file_that_something_wrote_to_is_no_longer_untouched(store: Path) -> None:
    path = store / "shard-00000.h5"
    seal = check_shard(path, KEY, VERSIONS, SIZE, None).seal
    assert seal is not None
    assert seal.untouched(path)
    times = path.stat()
    with path.open("r+b") as file:
        first = file.read(1)
        file.seek(0)
        file.write(first)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert not seal.untouched(path), "times that were set back"
    again = check_shard(path, KEY, VERSIONS, SIZE, seal).seal
    assert again is not None
    assert (again.sha256, again.untouched(path)) == (seal.sha256, True)
    shutil.copy2(path, path.with_name("copy.h5"))
    path.with_name("copy.h5").replace(path)
    assert not again.untouched(path), "a copy"
    path.unlink()
    assert not again.untouched(path), "gone"
