"""Single-shot galleries: one photo of each person, drawn anew for each repeat."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.benchmark import Benchmark, Setting
from data.runtime.errors import InputError
from data.runtime.files import write_json

Draw = tuple[int, ...]
"""Positions in a setting's gallery, one of each person."""


@dataclass(frozen=True)
class GivenDraws:
    """Single-shot galleries that replace our own draws.

    Attributes:
        galleries: the draws by name of the setting; settings that are not named keep our own.
        source: the file they are from, as results name it.
    """

    galleries: Mapping[str, Sequence[Draw]]
    source: str


def draw_galleries(setting: Setting) -> tuple[Draw, ...]:
    """Return `setting.draws` draws: positions in the gallery, one photo of each person, the people in sorted order.

    Photos are sorted by path before one is drawn, and the random numbers are used for nothing else: the same photos
    give the same draws, in whatever order the disk lists them. Settings that share a gallery share the draws.
    """
    photos: dict[str, list[int]] = {}
    for position in sorted(range(len(setting.gallery)), key=lambda i: setting.gallery[i].path.parts):
        photos.setdefault(str(setting.gallery[position].person), []).append(position)
    # Of what Python's source of random numbers gives, only random() is promised to be the same in every version.
    source = random.Random(0)
    return tuple(
        tuple(photos[person][int(source.random() * len(photos[person]))] for person in sorted(photos))
        for _ in range(setting.draws)
    )


def save_draws(path: Path, benchmark: Benchmark) -> None:
    """Write the draws of each single-shot test setting as JSON: lists of photos' paths below the benchmark's root.

    Raises InputError where there is no such setting.
    """
    content = {
        name: [[_name(benchmark, setting, position) for position in draw] for draw in draw_galleries(setting)]
        for name, setting in benchmark.settings.items()
        if "single-shot" in setting.shots
    }
    if not content:
        raise InputError(f"{benchmark.name} has no single-shot settings, so no draws to save: leave out --save-draws")
    write_json(path, content)


def load_draws(path: Path, benchmark: Benchmark) -> GivenDraws:
    """Read draws that `save_draws`, or another program, wrote for this benchmark.

    Returns:
        The draws by setting; their source is the file's name and the first digits of its SHA-256.

    Raises:
        InputError: the file cannot be read, names a photo that is not in the gallery, or a person twice.
    """
    try:
        written = path.read_bytes()
        content = json.loads(written)
        draws = {str(name): [[str(photo) for photo in draw] for draw in lists] for name, lists in content.items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise InputError(
            f"{path}: not a file of single-shot draws ({error}); write one with `eval --save-draws`"
        ) from None
    if not draws:
        raise InputError(f"{path}: no draws in it; write one with `eval --save-draws`")
    return GivenDraws(
        {name: _positions(path, benchmark, name, lists) for name, lists in draws.items()},
        source=f"{path.name}, {hashlib.sha256(written).hexdigest()[:8]}",
    )


def _positions(path: Path, benchmark: Benchmark, name: str, lists: list[list[str]]) -> tuple[Draw, ...]:
    setting = benchmark.settings.get(name)
    if setting is None or "single-shot" not in setting.shots or not lists:
        raise InputError(f"{path}: no draws for a setting of {benchmark.name} under {name!r}; write them anew")
    place = {_name(benchmark, setting, position): position for position in range(len(setting.gallery))}
    drawn = []
    for draw in lists:
        unknown = next((photo for photo in draw if photo not in place), None)
        if unknown is not None:
            raise InputError(
                f"{path}: {unknown} is not in the {name} gallery of {benchmark.name}; write the draws anew"
            )
        positions = tuple(place[photo] for photo in draw)
        if len({setting.gallery[position].person for position in positions}) < len(draw) or not draw:
            raise InputError(f"{path}: a {name} draw is empty or holds two photos of one person; write the draws anew")
        drawn.append(positions)
    return tuple(drawn)


def _name(benchmark: Benchmark, setting: Setting, position: int) -> str:
    return setting.gallery[position].path.relative_to(benchmark.root).as_posix()
