from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from data.runtime.errors import InputError
from data.shards import SyncStore
from trainer.batches.augment import normalise
from trainer.encoder import features
from trainer.encoder.encoder import make_encoder

CPU, SIZE = torch.device("cpu"), (32, 16)


@pytest.fixture
def encoder() -> torch.nn.Module:
    torch.manual_seed(0)
    return make_encoder("small", "none", 1, SIZE)[0].eval()


@pytest.mark.parametrize(("batch", "workers"), [(5, 0), (64, 0), (7, 2)])
def test_a_store_photo_by_photo(
    store: SyncStore, encoder: torch.nn.Module, monkeypatch: pytest.MonkeyPatch, batch: int, workers: int
) -> None:
    monkeypatch.setattr(features, "BATCH", batch)
    taken = features.encode_store(encoder.train(), store, SIZE, CPU, workers=workers)
    assert taken.shape == (len(store), 128)
    with torch.no_grad():
        for photo in range(len(store)):
            image = torch.from_numpy(store.group(photo)[:1])
            assert torch.allclose(taken[photo], encoder.eval()(normalise(image, SIZE))[0], atol=1e-5)


def test_photo_files_in_the_order_asked(tmp_path: Path, encoder: torch.nn.Module) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, *SIZE, 3), dtype=np.uint8)
    paths = [tmp_path / f"{number} ü.png" for number in range(3)]
    for path, picture in zip(paths, pixels, strict=True):
        Image.fromarray(picture).save(path)
    taken = features.encode_photos(encoder, paths[::-1], SIZE, CPU)
    with torch.no_grad():
        plain = encoder(normalise(torch.from_numpy(pixels), SIZE))
        mirrored = encoder(normalise(torch.from_numpy(pixels[:, :, ::-1].copy()), SIZE))
    assert torch.allclose(taken, plain.flip(0), atol=1e-5)
    both = features.encode_photos(encoder, paths, SIZE, CPU, flip=True)
    assert torch.allclose(both, F.normalize(plain + mirrored), atol=1e-5)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_photo_that_cannot_be_read_is_named(tmp_path: Path, encoder: torch.nn.Module, workers: int) -> None:
    (tmp_path / "empty.jpg").write_bytes(b"")
    with pytest.raises(InputError, match=r"empty\.jpg"):
        features.encode_photos(encoder, [tmp_path / "empty.jpg"], SIZE, CPU, workers=workers)


def test_bfloat16_is_near_float32(store: SyncStore, encoder: torch.nn.Module) -> None:
    exact = features.encode_store(encoder, store, SIZE, CPU)
    coarse = features.encode_store(encoder, store, SIZE, CPU, "bfloat16", channels_last=True)
    assert coarse.dtype == torch.float32
    assert (exact * coarse).sum(1).min() > 0.995
    assert not torch.equal(exact, coarse)
