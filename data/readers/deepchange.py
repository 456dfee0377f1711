"""DeepChange: Xu, Zhu, "DeepChange: A Long-Term Person Re-Identification Benchmark with Clothes Change", 2021.

178,407 photos of 1,121 people by 17 cameras over 12 months. As distributed, names begin with person_camera_day_hour,
and a list beside each folder gives each photo's tracklet (one walk of a person past one camera):

    train-set/P1_C5_..., train-set-bbox.txt       450 people, 75,083 photos; a line: P1_C5_....jpg,12
    val-set-query/, val-set-gallery/ and lists    150 people, 4,976 and 17,865 photos
    test-set-query/, test-set-gallery/ and lists  521 people, 17,527 and 62,956 photos

The authors count other walks past the same camera as matches, so photos of the query's own tracklet are removed and the
tracklet stands for the camera here (dataset "deepchange"). "deepchange-cameras" removes those by the query's camera, as
other benchmarks do. Clothes are not labelled (some programs take the day for the outfit), so the setting is "standard".
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from data.benchmark import Benchmark, Setting, named
from data.readers import layout
from data.record import ImageRecord
from data.runtime.errors import InputError

_PUBLISHED = {
    "train": (450, 75_083),
    "standard query": (521, 17_527),
    "standard gallery": (521, 62_956),
    "validation standard query": (150, 4_976),
    "validation standard gallery": (150, 17_865),
}
_FOLDERS = ("train-set", "val-set-query", "val-set-gallery", "test-set-query", "test-set-gallery")


def read(root: Path) -> Benchmark:
    """Return the benchmark in `root`, the folder that holds train-set/ and so on; InputError if it does not."""
    return _read(root, tracklets=True)


def read_cameras(root: Path) -> Benchmark:
    """Return the benchmark with its real cameras, so that matches are by other cameras only."""
    return dataclasses.replace(_read(root, tracklets=False), name="deepchange-cameras")


def _read(root: Path, tracklets: bool) -> Benchmark:
    layout.require(root, "DeepChange", *_FOLDERS, *(f"{folder}-bbox.txt" for folder in _FOLDERS))
    train, *sides = (_records(root, folder, tracklets) for folder in _FOLDERS)
    validation_query, validation_gallery, query, gallery = (tuple(side) for side in sides)
    settings = named(Setting("standard", query, gallery))
    validation = named(Setting("standard", validation_query, validation_gallery))
    return Benchmark("deepchange", root, train, settings, validation, _PUBLISHED)


def _records(root: Path, folder: str, tracklets: bool) -> list[ImageRecord]:
    records = []
    listing = root / f"{folder}-bbox.txt"
    for number, line in enumerate(layout.read_text(listing).splitlines(), 1):
        if not line.strip():
            continue
        match = re.fullmatch(r"(P(\d+)_C(\d+)_[^,/]*),\s*(\d+)\s*", line)
        if match is None:
            raise InputError(f"{listing}, line {number}: expected a photo and its tracklet, like P1_C5_....jpg,12")
        records.append(ImageRecord(root / folder / match[1], match[2], match[4] if tracklets else match[3], None))
    unlisted = set(layout.images(root / folder)) - {record.path for record in records}
    if unlisted:
        layout.warn_once(f"{listing}: {len(unlisted):,} pictures are not in it and left out, such as {min(unlisted)}")
    return records
