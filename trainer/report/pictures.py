"""Small pictures of a report: each is in the page once, however often it is shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from data.page import picture_uri
from data.photo import read_photo
from data.runtime.errors import InputError

HEIGHT = 112
"""Pixels: a person is told from another at this height, and a page holds a thousand of them in 3 MB."""


class Pictures:
    """The pictures of a page, by number."""

    def __init__(self) -> None:
        self.uris: list[str] = []
        self._numbers: dict[Path, int | None] = {}

    def add(self, pixels: np.ndarray) -> int:
        """Take a picture, uint8 (H, W, 3), and give its number."""
        self.uris.append(picture_uri(pixels, HEIGHT))
        return len(self.uris) - 1

    def add_file(self, path: Path) -> int | None:
        """Take a photo once and give its number; None where it cannot be read."""
        if path not in self._numbers:
            try:
                self._numbers[path] = self.add(read_photo(path))
            except InputError:
                self._numbers[path] = None
        return self._numbers[path]
