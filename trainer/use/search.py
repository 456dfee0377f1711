"""Search: the photos of a gallery that are most like a query, as a list and as a strip to look at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data.photo import read_photo
from data.runtime.files import replacing
from data.runtime.tables import printable
from data.sheet import contact_sheet
from trainer.encoder import Encoder
from trainer.use.index import Index
from trainer.use.photos import find_photos

_AT_ONCE = 1 << 24
"""Scores that are held at a time: 64 MB of them."""
_STRIP = 10
"""Photos beside a query."""
_ROWS = 50
"""Queries in a strip."""
_PICTURE = (192, 96)
"""Height and width of a photo in a strip, pixels: of the shape of most people's pictures, ten to a screen."""


@dataclass(frozen=True)
class Match:
    """A photo that was found, and the cosine between its feature and the query's, from -1 to 1."""

    path: Path
    score: float


@dataclass(frozen=True)
class Answer:
    """What was found for a query, the most like it first."""

    query: Path
    matches: tuple[Match, ...]


def search(encoder: Encoder, query: Path, gallery: Path, index: Index, top: int) -> list[Answer]:
    """Find the photos of a gallery that are most like a query, or like each photo of a folder of queries.

    Args:
        encoder: made the index.
        query: a photo, or a folder of photos.
        gallery: the folder that was indexed.
        index: its photos.
        top: how many photos to give for each query.

    Raises:
        InputError: a query cannot be read as a picture.
    """
    queries = find_photos(query) if query.is_dir() else [query]
    numbers, scores = rank(encoder.embed(queries), index.features, top)
    return [
        Answer(path, tuple(Match(gallery / index.names[n], float(s)) for n, s in zip(row, values, strict=True)))
        for path, row, values in zip(queries, numbers, scores, strict=True)
    ]


def rank(
    queries: npt.NDArray[np.float32], gallery: npt.NDArray[np.float32], top: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """Give the numbers of the `top` gallery features nearest to each query by cosine, and the cosines, both (Q, top).

    Features have unit length. Of equal ones the first in the gallery comes first; a smaller gallery gives fewer.
    """
    top = min(top, len(gallery))
    numbers = np.empty((len(queries), top), np.intp)
    scores = np.empty((len(queries), top), np.float32)
    at_once = max(1, _AT_ONCE // len(gallery))
    for start in range(0, len(queries), at_once):
        for row, cosines in enumerate(queries[start : start + at_once] @ gallery.T, start):
            # Sorting what reaches the last place, and no more, is thirty times as fast as sorting all.
            reaching = np.flatnonzero(cosines >= np.partition(cosines, -top)[-top])
            numbers[row] = reaching[np.argsort(-cosines[reaching], kind="stable")[:top]]
            scores[row] = cosines[numbers[row]]
    return numbers, scores


def format_answers(answers: Sequence[Answer]) -> str:
    """Lay answers out for people: the query, then a line a photo with its place, its score and its path."""
    return "\n\n".join("\n".join(_lines(answer)) for answer in answers)


def as_json(answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """Give answers as plain values, for programs."""
    return [
        {
            "query": str(answer.query),
            "matches": [{"path": str(match.path), "score": match.score} for match in answer.matches],
        }
        for answer in answers
    ]


def write_strip(path: Path, answers: Sequence[Answer]) -> Path:
    """Draw a row for each query, at most 50: the query, then the ten photos most like it with their scores; as PNG."""
    shown = answers[:_ROWS]
    rows = [[answer.query, *(match.path for match in answer.matches[:_STRIP])] for answer in shown]
    captions = [["query", *(f"{match.score:.3f}" for match in answer.matches[:_STRIP])] for answer in shown]
    sheet = contact_sheet([[read_photo(path, _PICTURE) for path in row] for row in rows], captions=captions)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        sheet.save(temporary, format="PNG")
    return path


def _lines(answer: Answer) -> Iterator[str]:
    yield printable(str(answer.query))
    for place, match in enumerate(answer.matches, 1):
        yield f"{place:>4}  {match.score:6.3f}  {printable(str(match.path))}"
