from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from data.runtime.errors import InputError
from trainer import runs
from trainer.encoder import Encoder
from trainer.use import Index, format_answers, index_path, rank, search, update_index

Command = Callable[..., Any]
Encoded = list[int]


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> Encoded:
    """How many photos are encoded from now on, in each batch."""
    seen: Encoded = []
    real = Encoder.encode

    def encode(self: Encoder, batches: Any, flip: bool = False) -> Any:
        batches = list(batches)
        seen.extend(len(batch) for batch in batches)
        return real(self, batches, flip)

    monkeypatch.setattr(Encoder, "encode", encode)
    return seen


def test_a_user_finds_a_photo(command: Command, gallery: Path, run: runs.Run) -> None:
    done = command("search", "--query", gallery / "b c.png", "--gallery", "my photos")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:3] == [
        "my photos: 6 of 6 photos are to be encoded",
        str(gallery / "b c.png"),
        "   1   1.000  my photos/b c.png",
    ]
    assert "my photos/line\\nbreak.png" in done.stdout
    assert "my photos/\\udcff.png" in done.stdout
    assert "my photos/東京/1.png" in done.stdout
    assert len(lines) == 9
    assert lines[-1] == "run demo, last encoder, 6 photos; to look at: work/search/strip.png"
    with Image.open("work/search/strip.png") as strip:
        assert strip.width > 7 * 96
        assert strip.height > 192


def test_a_program_gets_json_for_a_folder_of_queries(command: Command, gallery: Path, run: runs.Run) -> None:
    done = command("search", "--query", gallery, "--gallery", gallery, "--top", 2, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    given = json.loads(done.stdout)
    assert (given["run"], given["strip"]) == ("demo", "work/search/strip.png")
    assert len(given["answers"]) == 6
    for answer in given["answers"]:
        first, second = answer["matches"]
        assert first["path"] == answer["query"]
        assert first["score"] == pytest.approx(1, abs=1e-5)
        assert second["score"] < first["score"]


def test_the_index_follows_the_folder(gallery: Path, run: runs.Run, encoded: Encoded, work: Path) -> None:
    encoder, path = Encoder.load("demo"), index_path(run, "last", gallery)
    assert path.is_relative_to("work/search")
    whole = update_index(path, encoder, gallery)
    assert encoded == [6]
    assert update_index(path, encoder, gallery).names == whole.names
    assert encoded == [6]

    Image.new("RGB", (32, 64), "red").save(gallery / "b c.png")
    Image.new("RGB", (32, 64), "blue").save(gallery / "new.png")
    (gallery / "a.png").unlink()
    after = update_index(path, encoder, gallery)
    assert encoded[1:] == [2]
    assert set(after.names) == (set(whole.names) | {"new.png"}) - {"a.png"}
    np.testing.assert_allclose(after.features, encoder.embed([gallery / name for name in after.names]), atol=1e-6)

    os.utime(gallery / "new.png", ns=(1, 1))
    encoded.clear()
    update_index(path, encoder, gallery)
    assert encoded == [1]


def test_an_index_of_another_encoder_or_a_damaged_one_is_made_anew(
    gallery: Path, run: runs.Run, encoded: Encoded
) -> None:
    encoder, path = Encoder.load("demo"), index_path(run, "last", gallery)
    update_index(path, encoder, gallery)
    encoder.neck.get_parameter("weight").data[0] = 2.0
    update_index(path, encoder, gallery)
    path.write_bytes(path.read_bytes()[:1000])
    update_index(path, encoder, gallery)
    assert encoded == [6] * 3
    with h5py.File(path, "r+") as file:
        del file["stamps"]
    update_index(path, encoder, gallery)
    assert encoded == [6] * 4


def test_what_was_encoded_before_an_interrupt_stays(
    gallery: Path, run: runs.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder, path = Encoder.load("demo"), index_path(run, "last", gallery)
    monkeypatch.setattr("trainer.batches.photos._BATCH", 2)
    real = Encoder.encode
    done: list[int] = []

    def encode(self: Encoder, batches: Any, flip: bool = False) -> Any:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(1)
        return real(self, batches, flip)

    with monkeypatch.context() as patch:
        patch.setattr(Encoder, "encode", encode)
        with pytest.raises(KeyboardInterrupt):
            update_index(path, encoder, gallery)
    with h5py.File(path) as file:
        assert file["features"].shape == (4, encoder.dimensions)
    assert len(update_index(path, encoder, gallery).names) == 6


def test_a_photo_that_cannot_be_read_is_left_out_until_it_can(gallery: Path, run: runs.Run) -> None:
    encoder, path = Encoder.load("demo"), index_path(run, "last", gallery)
    whole = (gallery / "a.png").read_bytes()
    (gallery / "a.png").write_bytes(b"no picture")
    assert "a.png" not in update_index(path, encoder, gallery).names
    (gallery / "a.png").write_bytes(whole)
    assert "a.png" in update_index(path, encoder, gallery).names


def test_one_line_for_each_mistake(gallery: Path, run: runs.Run) -> None:
    encoder, path = Encoder.load("demo"), index_path(run, "last", gallery)
    index = update_index(path, encoder, gallery)
    with pytest.raises(InputError, match="there is no such file"):
        search(encoder, Path("nobody.png"), gallery, index, 3)
    for photo in gallery.rglob("*.png"):
        photo.write_bytes(b"")
    with pytest.raises(InputError, match="none of its photos can be read"):
        update_index(path, encoder, gallery)


def test_ranks_are_those_of_a_plain_sort_and_of_equal_photos_the_first_comes_first() -> None:
    random = np.random.default_rng(0)
    gallery = random.normal(size=(300, 8)).astype(np.float32)
    gallery /= np.linalg.norm(gallery, axis=1, keepdims=True)
    gallery[100:110] = gallery[7]
    queries = gallery[[7, 20, 250]]
    numbers, scores = rank(queries, gallery, 5)
    cosines = queries @ gallery.T
    np.testing.assert_array_equal(numbers, np.argsort(-cosines, axis=1, kind="stable")[:, :5])
    np.testing.assert_array_equal(scores, np.take_along_axis(cosines, numbers, 1))
    assert numbers[0].tolist() == [7, 100, 101, 102, 103]
    assert rank(queries, gallery[:2], 5)[0].shape == (3, 2)


def test_a_hundred_thousand_photos_answer_in_a_fifth_of_a_second(gallery: Path, run: runs.Run) -> None:
    encoder = Encoder.load("demo")
    random = np.random.default_rng(0)
    features = random.normal(size=(100_000, encoder.dimensions)).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    index = Index(tuple(map(str, range(100_000))), (), features)
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        format_answers(search(encoder, gallery / "a.png", gallery, index, 10))
        times.append(time.perf_counter() - begun)
    assert min(times) < 0.2
