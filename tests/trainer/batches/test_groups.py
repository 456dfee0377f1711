from __future__ import annotations

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from data.runtime.errors import RunError
from data.shards import SyncStore
from trainer.batches.groups import plan_epoch, read_groups
from trainer.randomness import Purpose, stream


@st.composite
def pseudo_label_arrays(draw: st.DrawFn) -> np.ndarray:
    sizes = draw(st.lists(st.integers(1, 9), min_size=1, max_size=12))
    labels = [cluster for cluster, size in enumerate(sizes) for _ in range(size)]
    labels += [-1] * draw(st.integers(0, 5))
    return np.array(draw(st.permutations(labels)))


@given(pseudo_label_arrays(), st.integers(1, 6), st.integers(1, 5), st.integers(1, 4), st.integers(0, 99))
def test_plan(labels: np.ndarray, clusters: int, photos: int, iterations: int, seed: int) -> None:
    plan = plan_epoch(labels, clusters, photos, iterations, stream(seed, Purpose.PLAN))
    assert plan.shape == (iterations, clusters, photos)
    chosen = labels[plan]
    assert (chosen >= 0).all()
    assert (chosen == chosen[..., :1]).all()
    counts = np.bincount(labels[labels >= 0])
    for batch in plan:
        assert len(set(labels[batch[:, 0]])) == min(clusters, len(counts))
        for members in batch:
            assert len(set(members)) == min(photos, counts[labels[members[0]]])


def test_plan_takes_every_photo_alike() -> None:
    labels = np.repeat([0, 1, -1], [3, 7, 2])
    plan = plan_epoch(labels, 2, 2, 6000, stream(0, Purpose.PLAN))
    frequency = np.bincount(plan.ravel(), minlength=12) / 6000
    assert np.abs(frequency[:3] - 2 / 3).max() < 0.03
    assert np.abs(frequency[3:10] - 2 / 7).max() < 0.03
    assert not frequency[10:].any()
    first = np.bincount(plan[:, :, 0].ravel(), minlength=12) / 6000
    assert np.abs(first[3:10] - 1 / 7).max() < 0.02


@pytest.mark.parametrize("workers", [0, 2])
def test_groups_come_as_asked(store: SyncStore, workers: int) -> None:
    batches = [np.array([35, 0, 0]), np.array([11, 9, 10])]
    read = list(read_groups(store, batches, 2, workers))
    assert len(read) == 2
    for batch, indices in zip(read, batches, strict=True):
        assert batch.dtype == torch.uint8
        assert np.array_equal(batch.numpy(), np.stack([store.group(i)[:2] for i in indices]))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_shard_that_breaks_is_named(store: SyncStore, workers: int) -> None:
    broken = store.path / "shard-00002.h5"
    data = bytearray(broken.read_bytes())
    place = data.index(store.group(21).tobytes())
    SyncStore(store.path)
    data[place + 5] ^= 0xFF
    broken.write_bytes(data)
    reader = read_groups(SyncStore(store.path), [np.array([0]), np.array([21])], 3, workers)
    next(reader)
    with pytest.raises(RunError, match=r"shard-00002\.h5"):
        next(reader)


READ_FOR_EVER = """
import collections, multiprocessing, sys
import numpy as np
from pathlib import Path
from data.runtime.errors import RunError
from data.shards import SyncStore
from trainer.batches.groups import died_line, read_groups, reader_died

reader = read_groups(SyncStore(Path(sys.argv[1])), [np.array([0])] * 1_000_000, 3, workers=1)
try:
    next(reader)
    print(multiprocessing.active_children()[0].pid, flush=True)
    collections.deque(reader, maxlen=0)
except RunError as error:
    print(error)
except RuntimeError as error:
    print(died_line(error) if reader_died(error) else "other")
"""


def test_a_reading_process_that_dies_is_reported(store: SyncStore) -> None:
    # In a process of its own, where no other child's end sets off torch's signal handler.
    command = [sys.executable, "-c", READ_FOR_EVER, str(store.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        os.kill(int(process.stdout.readline()), signal.SIGKILL)
        said = process.stdout.read()
    assert said.startswith("a process that reads ahead died: ")
    assert len(said.splitlines()) == 1
