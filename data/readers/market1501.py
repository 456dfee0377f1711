"""Market-1501: Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015.

Nobody changes clothes in it; it is here to check the baseline against published figures. 6 cameras. As distributed
(Market-1501-v15.09.15), names are person_cCamera...:

    bounding_box_train/0002_c1s1_000451_03.jpg   751 people, 12,936 photos
    query/..., bounding_box_test/...             750 people, 3,368 and 15,913 photos (the latter is the gallery)

bounding_box_test/ also holds 3,819 detections of person -1, which are to be ignored and are left out here, and 2,798 of
person 0000, distractors who stay in the gallery as a person nobody looks for.
"""

from __future__ import annotations

from pathlib import Path

from data.benchmark import Benchmark, Setting, named
from data.readers import layout
from data.record import ImageRecord

_PUBLISHED = {"train": (751, 12_936), "standard query": (750, 3_368), "standard gallery": (751, 15_913)}


def read(root: Path) -> Benchmark:
    """Return the benchmark in `root`, the folder that holds bounding_box_train/ and so on, or raise InputError."""
    layout.require(root, "Market-1501", "bounding_box_train", "bounding_box_test", "query")
    train, query, gallery = (_records(root / f) for f in ("bounding_box_train", "query", "bounding_box_test"))
    settings = named(Setting("standard", tuple(query), tuple(gallery)))
    return Benchmark("market1501", root, train, settings, published=_PUBLISHED)


def _records(folder: Path) -> list[ImageRecord]:
    found = layout.named_images(folder, r"(-1|\d+)_c(\d+)s.*", "0002_c1s1_000451_03.jpg")
    records = [ImageRecord(path, match[1], match[2], None) for path, match in found if match[1] != "-1"]
    if len(records) < len(found):
        layout.say_once(
            f"{folder}: {len(found) - len(records):,} detections of person -1 are left out, as they are to be"
        )
    return records
