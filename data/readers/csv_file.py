"""A benchmark of one's own, as a CSV file (commas; UTF-8, or UTF-16 with its mark) beside its photos.

    path,person,camera,clothes,split
    photos/anna 1.jpg,anna,door,red,train

path is relative to the CSV's folder and below it. The other columns may be missing, and so may their values, but photos
of the query and gallery need their person. clothes is a name within the person. split is train (the default), query,
gallery, validation-query or validation-gallery; query and gallery together make the "standard" setting and, of the
photos whose clothes are known, if some query has a match, "clothing-change" and "same-clothing". Without a camera, no
photo counts as of the same camera.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path

from data.benchmark import SETTINGS, Benchmark, Setting, named
from data.readers import layout
from data.record import ImageRecord
from data.runtime.errors import InputError

_COLUMNS = ("path", "person", "camera", "clothes", "split")
_SPLITS = ("train", "query", "gallery", "validation-query", "validation-gallery")


def read(root: Path) -> Benchmark:
    """Return the benchmark of a CSV file, or of the only CSV file in a folder.

    Raises InputError that names the first bad row: a column or value missing, a photo that is not there, is listed
    twice or lies outside the folder, an unknown split.
    """
    file = _find(root)
    splits: dict[str, list[ImageRecord]] = {split: [] for split in _SPLITS}
    seen: dict[Path, int] = {}
    for number, row in _rows(file):
        try:
            split, record = _parse(file.parent, row)
            if record.path in seen:
                raise ValueError(f"{row['path']} is in row {seen[record.path]} too; list each photo once")
        except ValueError as error:
            raise InputError(f"{file}, row {number}: {error}") from None
        seen[record.path] = number
        splits[split].append(record)
    if not seen:
        raise InputError(f"{file}: no photo in it; write a row for each")
    settings, validation = (
        _settings(file, part, *(splits[f"{part.replace(' ', '-')}{side}"] for side in ("query", "gallery")))
        for part in ("", "validation ")
    )
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return Benchmark("csv", file.parent, splits["train"], settings, validation, list_file=file, list_sha256=digest)


def _find(root: Path) -> Path:
    if root.is_file():
        return root
    found = sorted(path for path in root.glob("*.csv") if not path.name.startswith(".")) if root.is_dir() else []
    if len(found) != 1:
        there = f"{len(found)} of them" if root.is_dir() else "nothing"
        raise InputError(f"{root}: expected a CSV file, or a folder with one CSV file, found {there}")
    return found[0]


def _rows(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield each row with its number as spreadsheets count them: the header is row 1."""
    lines = io.StringIO(layout.read_text(file), newline="")
    try:
        reader = csv.DictReader(lines, restkey="", restval="", strict=True)
        columns = [name.strip() for name in reader.fieldnames or ()]
        reader.fieldnames = columns
        if "path" not in columns or not set(columns) <= set(_COLUMNS) or len(set(columns)) < len(columns):
            found, wanted = ", ".join(columns) or "nothing", ", ".join(_COLUMNS)
            raise InputError(f"{file}: expected a first row of {wanted} (path at least), found {found}")
        for number, row in enumerate(reader, 2):
            if "" in row:
                raise InputError(f"{file}, row {number}: more values than columns; quote values that hold a comma")
            yield number, {name: value.strip() for name, value in row.items()}
    except csv.Error as error:
        raise InputError(f"{file}: not a CSV file ({error}); save it as one, in UTF-8") from None


def _parse(folder: Path, row: dict[str, str]) -> tuple[str, ImageRecord]:
    split = row.get("split") or "train"
    if split not in _SPLITS:
        raise ValueError(f"split {split!r} is unknown; use one of {', '.join(_SPLITS)}")
    person = row.get("person") or None
    if not row["path"]:
        raise ValueError("path is empty; give one, or remove the row")
    if person is None and split != "train":
        raise ValueError(f"person is empty; {split} photos need one")
    inside = os.path.relpath(folder / row["path"], folder)
    if inside.startswith(os.pardir):
        raise ValueError(f"{row['path']} lies outside the CSV's folder; put the CSV above its photos")
    path = folder / inside
    if not path.is_file():
        slashed = row["path"].replace("\\", "/")
        if (folder / slashed).is_file():
            raise ValueError(f"{row['path']} has backslashes; write it with /, as {slashed}")
        raise ValueError(f"there is no photo {path}; paths are relative to the CSV's folder")
    clothes = f"{person}-{row['clothes']}" if person and row.get("clothes") else None
    return split, ImageRecord(path, person, row.get("camera") or f"({split})", clothes)


def _settings(file: Path, part: str, query: list[ImageRecord], gallery: list[ImageRecord]) -> dict[str, Setting]:
    if not query and not gallery:
        return {}
    if not query or not gallery:
        raise InputError(f"{file}: {len(query)} query and {len(gallery)} gallery photos; a setting needs both")
    settings = [Setting("standard", tuple(query), tuple(gallery))]
    asked, shown = (tuple(record for record in side if record.clothes is not None) for side in (query, gallery))
    if asked and shown:
        for setting in [Setting(name, asked, shown) for name in SETTINGS if name != "standard"]:
            if setting.queries_with_match():
                settings.append(setting)
            else:
                layout.warn_once(
                    f"{file}: the {part}{setting.name} setting is left out: none of its {len(asked):,} queries has a "
                    "match, by clothes and cameras"
                )
        bare = len(query) + len(gallery) - len(asked) - len(shown)
        if bare and len(settings) > 1:
            layout.warn_once(
                f"{file}: {bare:,} {part}query and gallery photos have no clothes: the settings that need them leave "
                "them out"
            )
    elif asked or shown:
        side, other = ("query", "gallery") if asked else ("gallery", "query")
        layout.warn_once(
            f"{file}: the {part}settings that need clothes are left out: {len(asked or shown):,} {side} photos have "
            f"them, but no {other} photo"
        )
    return named(*sorted(settings, key=lambda setting: SETTINGS.index(setting.name)))
