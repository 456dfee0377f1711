"""Memory: how large the photos are does not decide how much of it a sync takes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.annotation import write_annotation
from data.walkers.camera import CAMERAS, draw_shot
from data.walkers.person import draw_identity, draw_outfit
from data.walkers.render import render

PHOTOS = 40
LARGE = (4900, 2450)  # 12 megapixels, 36 MB


def peak(root: Path) -> float:
    """Megabytes that a sync of a folder of photos takes at most, in a process of its own."""
    command = ["-m", "pipeline", "sync", "--dataset", "folder", "--data-root", str(root), "--painter", "recolour"]
    code = (
        "import resource, subprocess, sys; "
        "subprocess.run([sys.executable, *sys.argv[1:]], check=True, capture_output=True); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    options = ["--size", "64x32", "--jobs", "1", "--device", "cpu"]
    done = subprocess.run(
        [sys.executable, "-c", code, *command, *options], cwd=root.parent, capture_output=True, text=True, check=True
    )
    return int(done.stdout) / (1024 if sys.platform == "linux" else 1024**2)


@pytest.mark.slow
def test_photos_of_12_megapixels_take_little_more_memory_than_small_ones(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pixels, annotation = render(draw_identity(rng), draw_outfit(rng), draw_shot(rng, CAMERAS["A"]), 128, 64)
    for name, (height, width) in (("small", (128, 64)), ("large", LARGE)):
        first = tmp_path / name / "00.jpg"
        first.parent.mkdir()
        Image.fromarray(pixels).resize((width, height)).save(first, quality=60)
        for number in range(PHOTOS):
            photo = first.with_name(f"{number:02d}.jpg")
            if number:
                shutil.copy(first, photo)
            write_annotation(first.parent, photo, annotation)
    small, large = peak(tmp_path / "small"), peak(tmp_path / "large")
    # All 40 photos are 1440 MB. Two batches of two are held, with what becomes of one while it is read.
    assert large - small < 900
