from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

MakePhotos = Callable[..., None]


@pytest.fixture
def make_photos(tmp_path: Path) -> MakePhotos:
    """Write small real pictures at paths inside tmp_path, each of another colour."""
    random = np.random.default_rng(0)

    def make(*paths: str, size: tuple[int, int] = (6, 3)) -> None:
        for path in paths:
            file = tmp_path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.integers(0, 256, (*size, 3), dtype=np.uint8)).save(file)

    return make
