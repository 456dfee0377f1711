"""Celeb-reID, Celeb-reID-light: Huang et al., "Celebrities-ReID", IJCNN 2019, and "Beyond Scalar Neuron", TCSVT 2019.

Photos of celebrities from the web: 34,186 of 1,052 people, and 10,842 of 590 people who never wear the same clothes
twice. As distributed, names are person_image_meaningless:

    train/1_1_0.jpg            632 people, 20,208 photos      light: 490, 9,021
    query/..., gallery/...     420 people, 2,972 and 11,006   light: 100, 887 and 934

There are neither cameras nor clothes labels. Its authors let the second number stand for a camera (it differs in every
photo of a person), so that no photo is removed from a ranking; here all queries are of one camera and the gallery is of
another, which comes to the same. The only setting is "standard", though most matches wear other clothes.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from data.benchmark import Benchmark, Setting, named
from data.readers import layout
from data.record import ImageRecord

_PUBLISHED = {"train": (632, 20_208), "standard query": (420, 2_972), "standard gallery": (420, 11_006)}
_PUBLISHED_LIGHT = {"train": (490, 9_021), "standard query": (100, 887), "standard gallery": (100, 934)}


def read(root: Path) -> Benchmark:
    """Return the benchmark in `root`, the folder that holds train/, query/ and gallery/; InputError if it does not."""
    layout.require(root, "Celeb-reID", "train", "query", "gallery")
    train, query, gallery = (_records(root / folder) for folder in ("train", "query", "gallery"))
    settings = named(Setting("standard", tuple(query), tuple(gallery)))
    return Benchmark("celeb-reid", root, train, settings, published=_PUBLISHED)


def read_light(root: Path) -> Benchmark:
    """Return Celeb-reID-light, which is laid out in the same way."""
    return dataclasses.replace(read(root), name="celeb-reid-light", published=_PUBLISHED_LIGHT)


def _records(folder: Path) -> list[ImageRecord]:
    return [
        ImageRecord(path, match[1], folder.name, None)
        for path, match in layout.named_images(folder, r"(\d+)_(\d+)_(\d+)", "1_1_0.jpg")
    ]
