"""A photo that cannot be redrawn fails alone; what is the machine's fault is not laid on a photo."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

import data
from data.photo import Photo
from data.runtime.errors import InputError
from data.shards import SyncStore, newest_store, read_manifest
from pipeline.__main__ import main
from pipeline.paint import RecolourPainter
from pipeline.paint.painter import Redrawn
from pipeline.sync import plan_sync, run_sync
from pipeline.sync.status import photo_states
from tests.bench.null_painter import NullPainter

STORES = Path("work/sync")
UNLUCKY = 7
OTHERS = [number for number in range(18) if number != UNLUCKY]


@pytest.fixture(autouse=True)
def _shards_of_six(walkers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.sync.plan.SHARD", 6)


@pytest.fixture
def name(walkers: Path) -> str:
    """The photo over which a painter stumbles."""
    return data.open_benchmark("walkers", walkers).train[UNLUCKY].path.relative_to(walkers).as_posix()


def sync(*options: str) -> Result:
    standard = ("sync", "--dataset", "walkers", "--painter", "recolour", "--device", "cpu", "--jobs", "1")
    return CliRunner().invoke(main, [*standard, *options])


def digests(folder: Path) -> dict[str, str]:
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("shard-*.h5"))}


def stumbling_sketch(name: str, error: BaseException) -> Any:
    """Let the sketch of a batch with this photo fail."""
    sketching = RecolourPainter.sketch

    def sketch(painter: RecolourPainter, photos: Sequence[Photo]) -> Any:
        if name in [photo.name for photo in photos]:
            raise error
        return sketching(painter, photos)

    return "sketch", sketch


def stumbling_paint(name: str, error: BaseException) -> Any:
    """Let the painting of a batch with this photo, which is known by its pixels, fail."""
    root = Path("work/datasets/walkers")
    pixels, painting = Photo.read(root / name, root).pixels, RecolourPainter.paint

    def paint(painter: RecolourPainter, sketch: Any) -> Redrawn:
        if any(np.array_equal(original, pixels) for original in sketch.originals):
            raise error
        return painting(painter, sketch)

    return "paint", paint


@pytest.mark.parametrize("stumbling", [stumbling_sketch, stumbling_paint])
def test_a_photo_fails_alone_and_is_redrawn_when_that_is_asked_for(
    name: str, monkeypatch: pytest.MonkeyPatch, stumbling: Any
) -> None:
    assert sync().exit_code == 0
    folder = newest_store(STORES)
    whole, groups = digests(folder), SyncStore(folder).groups(range(18))
    folder.rename("whole")
    with monkeypatch.context() as unlucky:
        unlucky.setattr(RecolourPainter, *stumbling(name, IndexError("a joint of no arm")))
        result = sync()
        assert result.exit_code == 0, result.output
        assert f"{name}: it cannot be redrawn (IndexError: a joint of no arm)" in result.output
        assert "1 photos could not be redrawn and are left out" in result.output
        assert "17 photos redrawn (3 of 3 shards made now)" in result.output
        store = SyncStore(folder)
        np.testing.assert_array_equal(store.groups(range(17)), groups[OTHERS])
        [(unpainted, reason)] = store.manifest.unpainted
        assert (unpainted, store.manifest.failures) == (name, ())
        states = list(photo_states(folder))
        assert [(state.state, state.reason) for state in states if state.state != "done"] == [("failed", reason)]
        assert states[UNLUCKY].name == name
        assert "complete already" in sync().output
        assert "to make: 1 shards, 6 photos" in sync("--retry-failed", "--dry-run").output
        assert "17 photos redrawn (1 of 3 shards made now)" in sync("--retry-failed").output
        assert CliRunner().invoke(main, ["verify"]).exit_code == 0
        page = CliRunner().invoke(main, ["preview"])
        assert page.exit_code == 0, page.output
        assert f"{name}: it cannot be redrawn" in (folder / "preview/index.html").read_text()
    assert "18 photos redrawn (1 of 3 shards made now)" in sync("--retry-failed").output
    assert digests(folder) == whole
    assert read_manifest(folder).unpainted == ()


def test_a_photo_that_failed_is_still_told_of_in_a_shard_that_another_store_takes_over(
    name: str, walkers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = data.open_benchmark("walkers", walkers).train[-1].path
    with monkeypatch.context() as unlucky:
        unlucky.setattr(RecolourPainter, *stumbling_sketch(name, ValueError("no clothes")))
        sync()
    first = newest_store(STORES)
    last.write_bytes(last.read_bytes() + b"\0")
    result = sync()
    assert "shards are copies of other stores'" in result.output, result.output
    assert newest_store(STORES) != first
    assert [failed for failed, _ in read_manifest(newest_store(STORES)).unpainted] == [name]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        torch.AcceleratorError("CUDA error: an illegal memory access was encountered"),
        RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling cublasSgemm"),
        RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"),
        OSError(errno.EIO, "Input/output error"),
    ],
)
@pytest.mark.parametrize("stumbling", [stumbling_sketch, stumbling_paint])
def test_a_fault_of_the_machine_leaves_the_shard_unmade(
    name: str, monkeypatch: pytest.MonkeyPatch, stumbling: Any, error: BaseException
) -> None:
    monkeypatch.setattr(RecolourPainter, *stumbling(name, error))
    result = sync()
    assert result.exit_code == 1, result.output
    assert f"1 of 3 shards failed, shard-00001.h5 with: {type(error).__name__}: {error}" in result.output
    [folder] = STORES.iterdir()
    assert list(digests(folder)) == ["shard-00000.h5", "shard-00002.h5"]
    assert read_manifest(folder).unpainted == ()


def test_a_full_disk_and_what_the_user_must_see_to_end_the_run(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "annotations")
    for error, said in ((full, "the disk is full (annotations)"), (InputError("no weights: give some"), "no weights")):
        monkeypatch.setattr(RecolourPainter, *stumbling_sketch(name, error))
        result = sync()
        assert result.exit_code in (1, 2)
        assert said in result.output
        [folder] = STORES.iterdir()
        assert list(digests(folder)) == ["shard-00000.h5"]


def test_if_no_photo_of_several_can_be_redrawn_it_is_not_the_photos_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def paint(painter: RecolourPainter, sketch: Any) -> Redrawn:
        raise TypeError("two arguments, not three")

    monkeypatch.setattr(RecolourPainter, "paint", paint)
    result = sync()
    assert result.exit_code == 1
    assert "3 of 3 shards failed, shard-00000.h5 with: TypeError: two arguments, not three" in result.output


class Failing(NullPainter):
    """Fails on every photo."""

    def paint(self, sketch: int) -> Redrawn:
        raise IndexError(f"a joint of no arm\nin {sketch}")


def test_a_data_set_of_one_photo_that_cannot_be_redrawn(name: str, walkers: Path) -> None:
    Path("photos").mkdir()
    photo = Path(shutil.copy(walkers / name, "photos/one.jpg"))
    plan = plan_sync(data.open_benchmark("folder", photo.parent), Failing(1, (64, 32)), STORES)
    with pytest.raises(InputError, match=r"none of the 1 photos can be read and redrawn; the first: ") as raised:
        run_sync(plan)
    assert str(raised.value).endswith(f"{photo.absolute()}: it cannot be redrawn (IndexError: a joint of no arm)")
