"""LTCC: Qian et al., "Long-Term Cloth-Changing Person Re-identification", ACCV 2020.

17,119 photos of 152 people by 12 cameras. As distributed, names are person_clothes_cCamera_number:

    train/144_1_c11_011239.png    77 people, 9,576 photos
    query/..., test/...           75 other people, 493 and 7,050 photos (test/ is the gallery)
    info/cloth-change_id_test.txt, ...   the numbers of the people who change clothes, one a line

"standard" removes photos of the query's person by the same camera, "clothing-change" also those in the same clothes.
Public programs do not agree on whose photos the clothing-change setting ranks: everybody's (dataset "ltcc"; queries of
people who never change have no match and are left out, but their gallery photos stay as distractors), or only those
of the people who change ("ltcc-changing").
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from data.benchmark import Benchmark, Setting, named
from data.readers import layout
from data.record import ImageRecord
from data.runtime.errors import InputError

_PUBLISHED = {
    "train": (77, 9_576),
    "clothing-change query": (75, 493),
    "clothing-change gallery": (75, 7_050),
    "standard query": (75, 493),
    "standard gallery": (75, 7_050),
}
_CHANGING = "info/cloth-change_id_test.txt"


def read(root: Path) -> Benchmark:
    """Return the benchmark in `root`, the folder that holds train/, query/ and test/; InputError if it does not."""
    layout.require(root, "LTCC", "train", "query", "test")
    query, gallery = (tuple(_records(root / folder)) for folder in ("query", "test"))
    settings = named(Setting("clothing-change", query, gallery), Setting("standard", query, gallery))
    return Benchmark("ltcc", root, _records(root / "train"), settings, published=_PUBLISHED)


def read_changing(root: Path) -> Benchmark:
    """Return the benchmark with only those people in its clothing-change setting who change clothes."""
    layout.require(root, "LTCC", "train", "query", "test", _CHANGING)
    benchmark = read(root)
    try:
        changing = {int(line) for line in layout.read_text(root / _CHANGING).split()}
    except ValueError as error:
        raise InputError(f"{root / _CHANGING}: expected the number of a person on each line ({error})") from None
    setting = benchmark.settings["clothing-change"]
    query, gallery = (
        tuple(r for r in side if r.person and int(r.person) in changing) for side in (setting.query, setting.gallery)
    )
    published = {"train": _PUBLISHED["train"]}
    settings = named(Setting("clothing-change", query, gallery))
    return dataclasses.replace(benchmark, name="ltcc-changing", settings=settings, published=published)


def _records(folder: Path) -> list[ImageRecord]:
    return [
        ImageRecord(path, match[1], match[3], f"{match[1]}-{match[2]}")
        for path, match in layout.named_images(folder, r"(\d+)_(\d+)_c(\d+)_(\d+)", "144_1_c11_011239.png")
    ]
