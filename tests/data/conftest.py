from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.readers import layout

MakePhotos = Callable[..., None]


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """What was said since the start of the test."""
    caplog.set_level(logging.INFO, "sync-person-cloud")
    monkeypatch.setattr(logging.getLogger("sync-person-cloud"), "propagate", True)
    layout.warn_once.cache_clear()
    layout.say_once.cache_clear()
    return lambda: [record.getMessage() for record in caplog.records]


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
