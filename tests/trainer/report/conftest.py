from __future__ import annotations

import csv
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from data.shards import Groups, Manifest, read_manifest, write_manifest, writing_shard
from tests.trainer.conftest import TINY
from trainer import runs
from trainer.config import make_config
from trainer.encoder import make_encoder

ROOT = Path(__file__).parents[3]
SIZE, VERSIONS = (32, 16), 2
NASTY = '<img src=x onerror=alert(1)> "o\'brien" 東 {{ 7*7 }}'
PEOPLE = (NASTY, "anna", "bela", "carl", "dora")
CAMERAS = ("door & <b>hall</b>", "yard")

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def write_dataset(root: Path) -> list[Path]:
    """A CSV and its photos of five people with names that cause trouble; gives the training photos.

    Query photos are by the first camera and in old clothes. The gallery has everyone by the second camera, in old and
    in new clothes, and anna by the first as well, which every rule leaves out.
    """
    rows, train = [], []
    for number, person in enumerate(PEOPLE):
        seen = range(4) if person == "anna" else (1, 3)
        for split, photos in (("train", range(4)), ("query", (0,)), ("gallery", seen)):
            for photo in photos:
                camera = photo % 2
                name = f"{split}/{number} <svg onload=alert({photo})>'\" ü.png"
                if number == 0 and split == "query":
                    name = f"{split}/new\nline.png"
                path = root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels(number, photo, camera)).save(path)
                clothes = "old" if photo < 2 else "new"
                rows.append((name, person, CAMERAS[camera], clothes, split))
                train += [path] if split == "train" else []
    with (root / "list.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("path", "person", "camera", "clothes", "split"), *rows])
    return train


def pixels(*drawn: int) -> np.ndarray:
    """A picture like no other: broad stripes of colours drawn for it."""
    colours = np.random.default_rng(drawn).integers(0, 256, (8, 3), np.uint8)
    return np.repeat(np.repeat(colours[:, None], 4, 0), 16, 1)


def make_run(folder: Path, name: str, dataset: str = "csv", seed: int = 0) -> runs.Run:
    """Make a run of two epochs in this folder: its encoder knows nothing, its clusters are the cameras."""
    root = folder / "photos"
    photos = write_dataset(root) if not root.exists() else sorted((root / "train").iterdir())
    if dataset == "folder":
        (root / "list.csv").unlink(missing_ok=True)
    shards = folder / "work" / "sync" / f"{dataset}-key"
    if not shards.exists():
        _write_store(shards, dataset, root, photos)
    config = make_config("walkers", TINY, {"seed": seed})
    run = runs.start(folder / "work" / "runs" / name, config, shards, read_manifest(shards), torch.device("cpu"))
    history = [
        {"epoch": e, "loss": 3 / e, "L_q": 2 / e, "L_s": 1 / e, "clusters": 2, "outliers": 1, "largest": 9}
        | {"ARI": 0.1 * e, "NMI": 0.2 * e, "purity": 0.3, "cluster_seconds": 1.5, "cameras AMI": 0.9}
        | {"step_seconds": 0.2, "data_seconds": 0.1}
        for e in (1, 2)
    ]
    labels = torch.arange(len(photos)) % 2
    labels[0] = -1
    torch.manual_seed(seed)
    weights = make_encoder(config, "none").state_dict()
    run.save({"encoder": weights, "epoch": 2, "history": history, "labels": labels}, 2, 0)
    return run


def _write_store(folder: Path, dataset: str, root: Path, photos: list[Path]) -> None:
    folder.mkdir(parents=True)
    with writing_shard(folder / "shard-00000.h5", VERSIONS, SIZE, "key", {}) as writer:
        writer.add(
            Groups(
                images=np.random.default_rng(0).integers(0, 256, (len(photos), 1 + VERSIONS, *SIZE, 3), np.uint8),
                sources=[path.relative_to(root).as_posix() for path in photos],
                digests=[hashlib.sha256(path.read_bytes()).hexdigest() for path in photos],
                templates=np.zeros((len(photos), VERSIONS), np.int32),
                redrawn=np.ones(len(photos), np.bool_),
                moved=np.zeros((len(photos), 2), np.float32),
            )
        )
        status = writer.status()
    write_manifest(folder, Manifest("key", dataset, str(root), VERSIONS, SIZE, (status,), "now", {}))


@pytest.fixture
def command() -> Command:
    """Run a command of the trainer as a user does, in the current folder."""

    def call(*words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "trainer", *map(str, words), "--device", "cpu"],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )

    return call
