"""What a plan holds of its photos: a million are to fit in little memory."""

from __future__ import annotations

import gc
import pickle
import tracemalloc
from pathlib import Path

import pytest

import data
from data.benchmark import Benchmark
from data.record import ImageRecord
from pipeline.sync import plan_sync
from tests.bench.null_painter import NullPainter

PHOTOS = 5000
BYTES = 180
"""Of a photo: its digest (64), what the file system says (32), its name (18), and half of it again."""


def benchmark() -> Benchmark:
    """Photos that are not there; they are listed all the same."""
    root = Path("nowhere").absolute()
    return Benchmark("d", root, [ImageRecord(root / f"folder {row % 7}/{row:05d}.jpg") for row in range(PHOTOS)], {})


def test_a_plan_and_its_tasks_hold_no_object_for_each_photo() -> None:
    painter = NullPainter(1, (16, 8))
    plan_sync(benchmark(), painter, Path("stores"))  # Whatever is loaded once.
    gc.collect()
    tracemalloc.start()
    try:
        plan = plan_sync(benchmark(), painter, Path("stores"))
        tasks = plan.tasks
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(len(task.photos) for task in tasks) == PHOTOS
    assert held < BYTES * PHOTOS


def test_a_task_takes_with_it_only_its_own_photos(walkers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.sync.plan.SHARD", 6)
    read = data.open_benchmark("walkers", walkers)
    plan = plan_sync(read, NullPainter(1, (16, 8)), Path("stores"))
    names = [record.path.relative_to(walkers).as_posix() for record in read.train]
    sent = [pickle.loads(pickle.dumps(task)) for task in plan.tasks]
    assert [name for task in sent for name in task.photos.sources] == names
    assert [len(task.photos.names.tobytes()) for task in sent] == [6 * plan.photos.names.itemsize] * 3
    assert len(pickle.dumps(plan.tasks[0].photos.names)) < len(pickle.dumps(plan.photos.names))


def test_the_paths_of_a_plan_are_those_of_its_photos(walkers: Path) -> None:
    read = data.open_benchmark("walkers", walkers)
    paths = plan_sync(read, NullPainter(1, (16, 8)), Path("stores")).paths
    expected = [record.path.absolute() for record in read.train]
    assert list(paths) == expected
    assert list(paths[4:9]) == expected[4:9]
    assert (len(paths), paths[-1]) == (18, expected[-1])
    with pytest.raises(IndexError):
        paths[18]
