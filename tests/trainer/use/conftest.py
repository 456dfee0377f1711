from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from data.shards import SyncStore
from trainer import runs
from trainer.config import Config
from trainer.encoder import make_encoder

ROOT = Path(__file__).parents[3]
NAMES = ("a.png", "b c.png", "d/é ü.png", "line\nbreak.png", os.fsdecode(b"\xff.png"), "東京/1.png")
"""Names that cause trouble: a space, letters beyond ASCII, a line break, and bytes that are no UTF-8."""

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def picture(number: int) -> np.ndarray:
    """A picture like no other: broad stripes of colours drawn for it."""
    colours = np.random.default_rng(number).integers(0, 256, (8, 3), np.uint8)
    return np.repeat(np.repeat(colours[:, None], 8, 0), 32, 1)


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to be in, with the run `demo`."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "work"


@pytest.fixture
def run(work: Path, store: SyncStore, tiny: Callable[..., Config]) -> runs.Run:
    """A run with a checkpoint, whose encoder knows nothing but gives every picture its own feature."""
    torch.manual_seed(0)
    run = runs.start(work / "runs" / "demo", tiny(), store.path, store.manifest, torch.device("cpu"))
    run.save({"encoder": make_encoder(tiny(), "none").state_dict(), "epoch": 2}, 2, 0)
    return run


@pytest.fixture
def gallery(tmp_path: Path) -> Path:
    """A folder of six photos, in folders or not."""
    folder = tmp_path / "my photos"
    for number, name in enumerate(NAMES):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(number)).save(folder / name)
    return folder


@pytest.fixture
def command(run: runs.Run) -> Command:
    """Run a command of the trainer as a user does, in the current folder."""

    def call(*words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "trainer", *map(str, words)],
            env={**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""},
            capture_output=True,
            text=True,
            check=False,
        )

    return call
