from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from data.runtime.errors import InputError
from data.shards import SyncStore
from trainer import Encoder, runs
from trainer.batches import Input, normalise
from trainer.config import Config
from trainer.encoder import encode_store, features, make_encoder

SIZE = (32, 16)
INPUT = Input(SIZE)


@pytest.fixture
def encoder(tiny: Callable[..., Config]) -> Encoder:
    torch.manual_seed(0)
    return make_encoder(tiny()).eval()


@pytest.mark.parametrize(("batch", "workers"), [(5, 0), (64, 0), (7, 2)])
def test_a_store_photo_by_photo(
    store: SyncStore, encoder: Encoder, monkeypatch: pytest.MonkeyPatch, batch: int, workers: int
) -> None:
    monkeypatch.setattr(features, "BATCH", batch)
    taken = encode_store(encoder.train(), store, workers)
    assert taken.shape == (len(store), 128)
    with torch.no_grad():
        for photo in range(len(store)):
            image = torch.from_numpy(store.group(photo)[:1])
            assert torch.allclose(taken[photo], encoder.eval()(normalise(image, INPUT))[0], atol=1e-5)


def test_photo_files_in_the_order_asked(tmp_path: Path, encoder: Encoder) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, *SIZE, 3), dtype=np.uint8)
    paths = [tmp_path / f"{number} ü.png" for number in range(3)]
    for path, picture in zip(paths, pixels, strict=True):
        Image.fromarray(picture).save(path)
    taken = encoder.embed(paths[::-1])
    with torch.no_grad():
        plain = encoder(normalise(torch.from_numpy(pixels), INPUT))
        mirrored = encoder(normalise(torch.from_numpy(pixels[:, :, ::-1].copy()), INPUT))
    assert np.allclose(taken, plain.flip(0), atol=1e-5)
    both = encoder.embed(paths, flip=True)
    assert np.allclose(both, F.normalize(plain + mirrored), atol=1e-5)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_photo_that_cannot_be_read_is_named(tmp_path: Path, encoder: Encoder, workers: int) -> None:
    (tmp_path / "empty.jpg").write_bytes(b"")
    with pytest.raises(InputError, match=r"empty\.jpg"):
        encoder.embed([tmp_path / "empty.jpg"], workers)


def test_bfloat16_is_near_float32(store: SyncStore, encoder: Encoder) -> None:
    exact = encode_store(encoder, store)
    encoder.precision = "bfloat16"
    coarse = encode_store(encoder, store)
    assert coarse.dtype == torch.float32
    assert (exact * coarse).sum(1).min() > 0.995
    assert not torch.equal(exact, coarse)


def test_a_run_s_encoder_by_name_folder_and_file(
    store: SyncStore,
    encoder: Encoder,
    tiny: Callable[..., Config],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    cpu = torch.device("cpu")
    run = runs.start(Path("work/runs/one"), tiny(), store.path, store.manifest, cpu)
    with pytest.raises(InputError, match="no checkpoint yet"):
        Encoder.load("one")
    file = run.save({"encoder": encoder.state_dict(), "epoch": 1}, 1, 0)
    path = tmp_path / "photo.png"
    Image.fromarray(store.group(0)[0]).save(path)
    expected = encoder.embed([path])
    assert (expected.shape, expected.dtype) == ((1, encoder.dimensions), np.float32)
    assert np.linalg.norm(expected, axis=1) == pytest.approx(1, abs=1e-5)
    for place in ("one", run.folder, str(run.folder), file):
        assert np.array_equal(Encoder.load(place, device="cpu").embed([path]), expected)
    assert encoder.embed([]).shape == (0, encoder.dimensions)
    for wrong, said in (
        ("two", "there is no run two"),
        ("no/such.pt", "there is no such run"),
        (tmp_path, "no such file"),
    ):
        with pytest.raises(InputError, match=said):
            Encoder.load(wrong)
    with pytest.raises(InputError, match=r"no best\.pt"):
        Encoder.load("one", which="best")
