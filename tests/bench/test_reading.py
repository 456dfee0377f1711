"""The bench of training's data path: all batches are read, by this process or by others that are looked at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.bench.reading import SHARD, lay_out, main, read


@pytest.mark.parametrize("workers", [0, 1])
def test_whoever_reads_has_the_shards_open(tmp_path: Path, workers: int) -> None:
    store = lay_out(tmp_path, SHARD + 4, 1, (8, 4))
    assert len(store.shards) == 2
    batches = np.array([[0, 1], [SHARD, SHARD + 3], [2, SHARD + 1]])
    taken = read(store, batches, workers, step=0.01)
    assert (taken.images, taken.files) == (12, 2)
    assert 0 < taken.waited < taken.seconds
    assert min(taken.memory, taken.cpu) > 0


def test_the_table_has_a_line_for_a_cold_disk_and_one_for_a_warm(tmp_path: Path) -> None:
    small = ["--images", "40", "--size", "8", "4", "--batch", "4", "--steps", "3", "--workers", "0"]
    done = CliRunner().invoke(main, [*small, "--folder", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "40 images of 8x4 in 1 shards, 3 batches of 4 photos" in done.output
    assert [line.split("  ")[0] for line in done.output.splitlines()[-2:]] == ["cold", "in memory"]
    assert not list(tmp_path.iterdir())
