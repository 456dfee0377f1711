from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from data.photo import name_below
from data.runtime.errors import InputError
from trainer import runs
from trainer.encoder import Encoder
from trainer.use import write_features

Command = Callable[..., Any]


def test_a_user_gets_the_numbers_of_embed_with_the_photos_paths(command: Command, gallery: Path, run: runs.Run) -> None:
    done = command("features", "--gallery", gallery)
    assert done.returncode == 0, done.stderr
    assert "features of 6 photos written to work/features/demo-my photos.h5" in done.stdout
    with h5py.File("work/features/demo-my photos.h5", "r") as file:
        names, features = [os.fsdecode(name) for name in file["paths"][:]], file["features"][:]
        assert os.fsdecode(file.attrs["gallery"]) == str(gallery)
        assert file.attrs["encoder"] == Encoder.load("demo").digest
    photos = sorted((path for path in gallery.rglob("*.png")), key=lambda path: path.parts)
    assert names == [name_below(path, gallery) for path in photos]
    assert features.dtype == np.float32
    np.testing.assert_array_equal(features, Encoder.load("demo").embed([gallery / name for name in names]))


def test_numpy_reads_the_same_without_pickle(gallery: Path, run: runs.Run, tmp_path: Path) -> None:
    encoder = Encoder.load("demo")
    for name in ("new/f.npz", "f.HDF5"):
        assert write_features(tmp_path / name, encoder, gallery) == 6
    with np.load(tmp_path / "new" / "f.npz") as file, h5py.File(tmp_path / "f.HDF5", "r") as other:
        np.testing.assert_array_equal(file["features"], other["features"][:])
        assert file["paths"].tolist() == [os.fsdecode(name) for name in other["paths"][:]]
        assert str(file["gallery"]) == str(gallery)
        assert str(file["encoder"]) == encoder.digest


def test_what_cannot_be_read_is_left_out_and_said(command: Command, gallery: Path, run: runs.Run) -> None:
    (gallery / "a.png").write_bytes(b"no picture")
    done = command("features", "--gallery", gallery, "--output", "f.npz")
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("warning: left out: ")
    with np.load("f.npz") as file:
        assert "a.png" not in file["paths"]
        assert file["features"].shape == (5, 128)


def test_one_line_for_each_mistake(command: Command, gallery: Path, tmp_path: Path, run: runs.Run) -> None:
    encoder = Encoder.load("demo")
    with pytest.raises(InputError, match=r"give one of \.h5, \.hdf5 or \.npz"):
        write_features(tmp_path / "f.csv", encoder, gallery)
    for path in gallery.rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(InputError, match="none of its photos can be read"):
        write_features(tmp_path / "f.h5", encoder, gallery)
    assert not (tmp_path / "f.h5").exists()
    done = command("features", "--gallery", "nowhere")
    assert (done.returncode, done.stderr) == (
        2,
        "error: nowhere is not a folder: give a folder of photos as GALLERY\n",
    )
