"""PRCC: Yang, Wu, Zheng, "Person Re-identification by Contour Sketch under Moderate Clothing Change", TPAMI 2021.

33,698 photos of 221 people by 3 cameras. In the rooms of cameras A and B a person wears the same clothes, in that of C
others. As distributed:

    rgb/train/<id>/A_cropped_rgb001.jpg      150 people, 17,896 photos; the camera starts the file's name
    rgb/val/<id>/A_cropped_rgb002.jpg        the same 150 people, 5,002 other photos
    rgb/test/{A,B,C}/<id>/cropped_rgb001.jpg 71 other people, 3,384 + 3,873 + 3,543 photos
    sketch/...                               contour sketches, not read

The gallery is camera A; queries come from B (same clothes) or C (clothing change). Published tables do not agree on
what the gallery is: one photo of each person, drawn ten times (the authors: "single-shot"), or all of them
("multi-shot"). Both are measured here, by name.
"""

from __future__ import annotations

from pathlib import Path

from data.benchmark import SHOTS, Benchmark, Setting, named
from data.readers import layout
from data.record import ImageRecord

_PUBLISHED = {
    "train": (150, 17_896),
    "clothing-change query": (71, 3_543),
    "clothing-change gallery": (71, 3_384),
    "same-clothing query": (71, 3_873),
    "same-clothing gallery": (71, 3_384),
}


def read(root: Path) -> Benchmark:
    """Return the benchmark in `root`, the folder that holds rgb/. Raises InputError where it is laid out otherwise."""
    layout.require(root, "PRCC", "rgb/train", "rgb/test/A", "rgb/test/B", "rgb/test/C")
    test = [
        _record(path, person, camera)
        for camera in "ABC"
        for path, person in layout.images_of_people(root / "rgb/test" / camera)
    ]
    validation = _split(root / "rgb/val") if (root / "rgb/val").is_dir() else []
    return Benchmark("prcc", root, _split(root / "rgb/train"), _settings(test), _settings(validation), _PUBLISHED)


def _split(folder: Path) -> list[ImageRecord]:
    records = []
    for path, person in layout.images_of_people(folder):
        camera = path.name[:1]
        if camera not in "ABC" or path.name[1:2] != "_":
            raise layout.misnamed(path, "<id>/A_cropped_rgb001.jpg (camera A, B or C)")
        records.append(_record(path, person, camera))
    return records


def _record(path: Path, person: str, camera: str) -> ImageRecord:
    return ImageRecord(path, person, camera, f"{person}-{'C' if camera == 'C' else 'AB'}")


def _settings(records: list[ImageRecord]) -> dict[str, Setting]:
    if not records:
        return {}
    a, b, c = (tuple(record for record in records if record.camera == camera) for camera in "ABC")
    return named(Setting("clothing-change", c, a, SHOTS), Setting("same-clothing", b, a, SHOTS))
