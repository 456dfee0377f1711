"""The command line of a sync, on the miniature walkers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from data.annotation import read_annotation
from pipeline.__main__ import main

Sync = Callable[..., Result]


@pytest.fixture
def command(walkers: Path, random_weights: Path, monkeypatch: pytest.MonkeyPatch) -> Sync:
    """`python -m pipeline sync` on the miniature walkers, in shards of 8 photos."""
    monkeypatch.setattr("pipeline.sync.plan.SHARD", 8)

    def call(*options: str, name: str = "sync") -> Result:
        standard = ("--dataset", "walkers", "--weights", str(random_weights), "--device", "cpu")
        jobs = ("--jobs", "1") if name == "sync" and "--jobs" not in options else ()
        return CliRunner().invoke(main, [name, *standard, *jobs, *options])

    return call


def write_own_files(photos: Iterable[Path], root: Path) -> tuple[str, ...]:
    """Write annotations of photos as people have them, below the current folder, and give the options that say so."""
    rows = ["name:keypoints_y:keypoints_x"]
    for photo in photos:
        annotation = read_annotation(root, photo)
        png = Path("parsings", photo.relative_to(root)).with_suffix(".png")
        png.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(annotation.parsing).save(png)
        x, y = (np.nan_to_num(axis, nan=-1).astype(int).tolist() for axis in annotation.joints.T)
        rows.append(f"{photo.relative_to(root).as_posix()}: {y}: {x}")
    Path("keypoints.csv").write_text("\n".join(rows))
    return "--parsing", "parsings", "--labels", "pise", "--keypoints", "keypoints.csv"
