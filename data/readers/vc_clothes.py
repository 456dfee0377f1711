"""VC-Clothes: Wan, Wu, Qian, Chen, Fu, "When Person Re-identification Meets Changing Clothes", CVPR Workshops 2020.

19,060 rendered photos of 512 people by 4 cameras. As distributed, names are person-camera-clothes-number:

    train/0001-01-01-00.jpg     256 people, 9,449 photos
    query/..., gallery/...      256 other people, 1,020 and 8,591 photos

Three settings, named by the cameras their photos come from: all four ("standard"), 2 and 3, where clothes stay the
same ("same-clothing"), and 3 and 4, where they change ("clothing-change"). Published tables remove only photos of the
query's person and camera in all three; the rules here also look at the clothes in the file names, which makes no
difference as far as those cameras do what their authors say.
"""

from __future__ import annotations

from pathlib import Path

from data.benchmark import Benchmark, Setting, named
from data.readers import layout
from data.record import ImageRecord

_CAMERAS = {"clothing-change": {3, 4}, "same-clothing": {2, 3}, "standard": {1, 2, 3, 4}}
_PUBLISHED = {"train": (256, 9_449), "standard query": (256, 1_020), "standard gallery": (256, 8_591)}


def read(root: Path) -> Benchmark:
    """Return the benchmark in `root`, the folder that holds train/, query/ and gallery/; InputError if it does not."""
    layout.require(root, "VC-Clothes", "train", "query", "gallery")
    query, gallery = _records(root / "query"), _records(root / "gallery")
    strange = sum(len(side) - len(_by(side, "standard")) for side in (query, gallery))
    if strange:
        layout.warn_once(
            f"{root}: {strange:,} query and gallery photos are left out, as their cameras are none of 1 to 4"
        )
    settings = named(*(Setting(name, _by(query, name), _by(gallery, name)) for name in _CAMERAS))
    return Benchmark("vc-clothes", root, _records(root / "train"), settings, published=_PUBLISHED)


def _records(folder: Path) -> list[ImageRecord]:
    return [
        ImageRecord(path, match[1], match[2], f"{match[1]}-{match[3]}")
        for path, match in layout.named_images(folder, r"(\d+)-(\d+)-(\d+)-(\d+)", "0001-01-01-00.jpg")
    ]


def _by(records: list[ImageRecord], setting: str) -> tuple[ImageRecord, ...]:
    return tuple(record for record in records if record.camera and int(record.camera) in _CAMERAS[setting])
