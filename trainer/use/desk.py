"""The desk of a search: what is asked on the page that is served, and what is found, as HTML and pictures."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from data.page import jpeg, make_page, picture_uri
from data.photo import read_photo
from data.runtime.errors import InputError
from data.runtime.logs import get_logger
from trainer.encoder import Encoder
from trainer.use.index import Index
from trainer.use.photos import find_photos
from trainer.use.search import rank

QUERIES = 50
"""Queries that are answered on one page."""
_HEIGHT = 320
"""Of a picture on the page, pixels: sharp on a phone's screen."""
_TEMPLATE = Path(__file__).with_name("search.html")
_STYLE = Path(__file__).with_name("search.css")

_log = get_logger(__name__)


@dataclass(frozen=True)
class Found:
    """A photo that was found: its number, its name below the gallery, and its cosine with the query, from -1 to 1."""

    number: int
    name: str
    score: float


@dataclass(frozen=True)
class Answered:
    """A query as the page shows it, its picture an address of the page, and what was found, the most like it first."""

    name: str
    picture: str
    found: tuple[Found, ...]


class Desk:
    """Answers what is asked about a gallery; several threads may ask at once, and one at a time is encoded for.

    A photo is asked for by its number, and its pixels alone are given, encoded anew. One that lies outside the gallery,
    reached by a link, is neither ranked nor shown.

    Args:
        encoder: made the index.
        gallery: the folder that was indexed.
        index: its photos.
        top: how many photos to find for each query.
        origin: which encoder this is, in words.

    Raises:
        InputError: all photos lie outside the gallery.
    """

    def __init__(self, encoder: Encoder, gallery: Path, index: Index, top: int, origin: str) -> None:
        self._encoder, self._gallery, self._top, self._origin = encoder, gallery, top, origin
        self._root = gallery.resolve()
        inside = [number for number, name in enumerate(index.names) if self._is_inside(name)]
        if not inside:
            raise InputError(f"{gallery}: all of its photos are links to other folders: give the folder they lie in")
        if outside := len(index.names) - len(inside):
            _log.warning(f"{outside:,} photos are left out: links lead from {gallery} to where they lie")
        self._names = [index.names[number] for number in inside]
        self._features = index.features if not outside else index.features[inside]
        self._encoding = threading.Lock()

    def page(self, answers: Sequence[Answered] = (), error: str = "") -> str:
        """Make the page: an error, if there is one, the box for a photo, and answers."""
        return make_page(
            _TEMPLATE,
            style=_STYLE.read_text(encoding="utf-8"),
            answers=answers,
            error=error,
            gallery=str(self._gallery),
            photos=f"{len(self._names):,}",
            origin=self._origin,
        )

    def ask(self, query: Path) -> list[Answered]:
        """Answer a photo, or the first 50 photos of a folder; InputError where one cannot be read as a picture."""
        queries = find_photos(query)[:QUERIES] if query.is_dir() else [query]
        with self._encoding:
            features = self._encoder.embed(queries)
        pictures = (picture_uri(read_photo(path), _HEIGHT) for path in queries)
        ranked = (self._ranked(feature, self._top) for feature in features)
        return [
            Answered(path.name, picture, found) for path, picture, found in zip(queries, pictures, ranked, strict=True)
        ]

    def ask_content(self, name: str, content: bytes) -> Answered:
        """Answer a photo that was sent as the content of a file of this name; InputError where it is no picture."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "photo")
            path.write_bytes(content)
            try:
                [answered] = self.ask(path)
            except InputError as error:
                raise InputError(f"{name}: {str(error).removeprefix(f'{path}: ')}") from None
        return Answered(name, answered.picture, answered.found)

    def ask_again(self, number: int) -> Answered:
        """Answer a photo of the gallery, which is not found itself; InputError where there is none of this number."""
        pixels = read_photo(self._path(number))
        found = [each for each in self._ranked(self._features[number], self._top + 1) if each.number != number]
        return Answered(self._names[number], picture_uri(pixels, _HEIGHT), tuple(found[: self._top]))

    def picture(self, number: int) -> bytes:
        """Give a photo of the gallery as a JPEG; InputError where there is none of this number."""
        return jpeg(read_photo(self._path(number)), _HEIGHT)

    def close(self) -> None:
        """Wait for what is being encoded, and encode nothing any more."""
        self._encoding.acquire()

    def _ranked(self, feature: npt.NDArray[np.float32], top: int) -> tuple[Found, ...]:
        [numbers], [scores] = rank(feature[None], self._features, top)
        found = zip(numbers.tolist(), scores.tolist(), strict=True)
        return tuple(Found(number, self._names[number], score) for number, score in found)

    def _path(self, number: int) -> Path:
        if number >= len(self._names) or not self._is_inside(self._names[number]):
            raise InputError(f"the gallery has no photo {number}")
        return self._gallery / self._names[number]

    def _is_inside(self, name: str) -> bool:
        return (self._gallery / name).resolve().is_relative_to(self._root)
