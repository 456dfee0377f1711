from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from data.shards import Groups, Manifest, ShardStatus, SyncStore, write_manifest, writing_shard
from trainer.config import Config, make_config
from trainer.studies.plan import option_words

PEOPLE, PHOTOS, VERSIONS, SIZE = 6, 6, 2, (32, 16)
MakeStore = Callable[..., Path]

# Settings that train on the tiny store in a second.
TINY: dict[str, Any] = {
    "height": SIZE[0],
    "width": SIZE[1],
    "versions": VERSIONS,
    "batch_clusters": 2,
    "batch_photos": 2,
    "k1": 6,
    "k2": 2,
    "eps": 0.6,
    "min_samples": 2,
    "consistency_from": 1,
    "epochs": 2,
    "iterations": 4,
    "camera_means": False,
    "precision": "float32",
}


@pytest.fixture
def tiny() -> Callable[..., Config]:
    """Give a Config that is quick on the tiny store, with what is asked for in place."""
    return lambda **settings: make_config("walkers", TINY, settings)


@pytest.fixture
def tiny_arguments() -> list[str]:
    """The same as options of the command line."""
    return option_words(TINY)


def person_pixels(person: int, photo: int, outfit: int) -> np.ndarray:
    """A head that is the person's, clothes that are the outfit's, and noise that is the photo's."""
    random = np.random.default_rng((person, 0))
    height, width = SIZE
    pixels = np.empty((*SIZE, 3))
    pixels[: height // 3] = random.uniform(0, 255, 3)
    pixels[height // 3 :] = np.random.default_rng((outfit, 1)).uniform(0, 255, 3)
    stripe = int(random.integers(1, width - 2))
    pixels[:, stripe : stripe + 2] = random.uniform(0, 255, 3)
    noise = np.random.default_rng((person, photo, outfit)).normal(0, 12, pixels.shape)
    return (pixels + noise).clip(0, 255).astype(np.uint8)


@pytest.fixture
def make_store(tmp_path: Path) -> MakeStore:
    """Write real photos of striped people in PRCC's layout, and real shards of them; gives the shards' folder."""

    def make(shard_photos: int = 10, name: str = "walkers-tiny", dataset: str = "walkers") -> Path:
        root = tmp_path / "dataset"
        sources, groups = [], []
        for person in range(PEOPLE):
            for photo in range(PHOTOS):
                versions = [person_pixels(person, photo, outfit) for outfit in (person, 100 + photo, 200 + photo)]
                path = Path("rgb", "train", f"{person + 1:03d}", f"{'ABC'[photo % 3]}_cropped_rgb{photo + 1:03d}.jpg")
                _write(root / path, versions[0])
                sources.append(path.as_posix())
                groups.append(np.stack(versions))
        for person in range(PEOPLE, PEOPLE + 4):
            for photo in range(4):
                camera = "ABC"[photo % 3]
                pixels = person_pixels(person, photo, person if camera != "C" else 50 + person)
                _write(root / f"rgb/val/{person + 1:03d}/{camera}_cropped_rgb{photo + 1:03d}.jpg", pixels)
                _write(root / f"rgb/test/{camera}/{person + 5:03d}/cropped_rgb{photo + 1:03d}.jpg", pixels)
        folder = tmp_path / "work" / "sync" / name
        folder.mkdir(parents=True)
        shards: list[ShardStatus] = []
        for start in range(0, len(sources), shard_photos):
            part = slice(start, start + shard_photos)
            count = len(sources[part])
            shard = folder / f"shard-{len(shards):05d}.h5"
            with writing_shard(shard, VERSIONS, SIZE, name, {}) as writer:
                writer.add(
                    Groups(
                        images=np.stack(groups[part]),
                        sources=sources[part],
                        digests=[hashlib.sha256((root / source).read_bytes()).hexdigest() for source in sources[part]],
                        templates=np.zeros((count, VERSIONS), np.int32),
                        redrawn=np.ones(count, np.bool_),
                        moved=np.zeros((count, 2), np.float32),
                    )
                )
                shards.append(writer.status())
        manifest = Manifest(
            key=name,
            dataset=dataset,
            root=str(root),
            versions=VERSIONS,
            size=SIZE,
            shards=tuple(shards),
            finished="2026-01-01T00:00:00+00:00",
            recipe={},
        )
        write_manifest(folder, manifest)
        return folder

    return make


@pytest.fixture
def store(make_store: MakeStore) -> SyncStore:
    return SyncStore(make_store())


def _write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, quality=95)
