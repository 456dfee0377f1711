"""Overlap: while one batch is painted, the next is annotated."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from data.photo import Photo
from data.shards import record_photos
from pipeline.paint import Redrawn
from pipeline.sync.worker import Task, make_shard


class Meeting:
    """A painter whose first batch is not painted before its second one is sketched."""

    device, versions, size = "cpu", 1, (8, 4)
    origin = "nowhere"
    recipe: Mapping[str, Any] = {}

    def __init__(self) -> None:
        self.sketched = 0
        self.second = threading.Event()

    def prepare(self, folder: Path, photos: Sequence[Path]) -> None:
        """Nothing is to be prepared."""

    def sketch(self, photos: Sequence[Photo]) -> int:
        self.sketched += 1
        if self.sketched == 2:
            self.second.set()
        return len(photos)

    def paint(self, sketch: int) -> Redrawn:
        assert self.second.wait(20), "nobody sketches the next batch meanwhile"
        return Redrawn(
            np.zeros((sketch, 1, *self.size, 3), np.uint8),
            np.ones(sketch, np.bool_),
            np.zeros((sketch, 1), np.int32),
            np.ones((sketch, *self.size), np.bool_),
            np.ones(sketch, np.float32),
            {},
        )


def test_the_next_batch_is_sketched_while_one_is_painted(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number:03d}.png" for number in range(70)]
    for path in paths:
        Image.new("RGB", (4, 8)).save(path)
    task = Task(tmp_path / "shard-00000.h5", tmp_path, record_photos(paths, tmp_path), Meeting(), "key")
    made = make_shard(task)
    assert made.status.photos == 70
