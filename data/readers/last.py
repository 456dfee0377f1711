"""LaST: Shu et al., "Large-Scale Spatio-Temporal Person Re-identification: Algorithms and Benchmark", TCSVT 2022.

228,156 photos of 10,862 people from films. As distributed, names begin with the person; in train/ they end with the
clothes:

    train/000000/000000_..._1.jpg                 5,000 people, 71,248 photos
    val/query/000000_....jpg, val/gallery/<id>/   56 people, 100 and 21,279 photos
    test/query/..., test/gallery/<id>/...         5,806 people, 10,176 and 125,353 photos

An earlier release is about 1 % smaller (70,923; 100 and 20,484; 10,173 and 123,041), so a warning about such counts is
no fault of the copy. Cameras are not labelled, and clothes only in train/: the setting is "standard" and no photo is
removed from a ranking, as in the authors' program.
"""

from __future__ import annotations

from pathlib import Path

from data.benchmark import Benchmark, Setting, named
from data.readers import layout
from data.record import ImageRecord

_PUBLISHED = {
    "train": (5_000, 71_248),
    "standard query": (None, 10_176),
    "standard gallery": (None, 125_353),
    "validation standard query": (None, 100),
    "validation standard gallery": (None, 21_279),
}


def read(root: Path) -> Benchmark:
    """Return the benchmark in `root`, the folder that holds train/, val/ and test/; InputError if it does not."""
    layout.require(root, "LaST", "train", "val/query", "val/gallery", "test/query", "test/gallery")
    train = [
        ImageRecord(path, match[1], "train", f"{match[1]}-{match[2]}")
        for path, match in layout.named_images(
            root / "train", r"(\d+)_(?:.*_)?([^_]+)", "000000/000000_..._1.jpg", depth=2
        )
    ]
    return Benchmark("last", root, train, _settings(root / "test"), _settings(root / "val"), _PUBLISHED)


def _settings(folder: Path) -> dict[str, Setting]:
    query, gallery = (tuple(_unclothed(folder / side, depth)) for side, depth in (("query", 1), ("gallery", 2)))
    return named(Setting("standard", query, gallery))


def _unclothed(folder: Path, depth: int) -> list[ImageRecord]:
    return [
        ImageRecord(path, match[1], folder.name, None)
        for path, match in layout.named_images(folder, r"(\d+)_.*", "000000_....jpg", depth)
    ]
