"""Features of a folder's photos, with the photos' paths, as a file for other programs: HDF5 or NPZ."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np

from data.photo import name_below
from data.runtime.errors import InputError
from data.runtime.files import replacing
from data.shards.sink import writing_hdf5
from trainer.encoder import Encoder
from trainer.use.photos import encode_photos, find_photos


def write_features(path: Path, encoder: Encoder, folder: Path, workers: int = 0) -> int:
    """Write what `encoder.embed` gives for the photos of a folder; the file is whole or not there.

    `features` is float32 (N, d), each of length 1; `paths` holds N paths below the folder, with slashes; `gallery` and
    `encoder` (in HDF5 attributes) are the folder and the encoder's digest, as evaluations name it.

    Args:
        path: ends in .h5 or .hdf5 (HDF5, paths as UTF-8), or in .npz (NumPy).
        encoder: the encoder.
        folder: the photos; those that cannot be read are left out with a warning.
        workers: processes that read ahead; 0 reads in this one.

    Returns:
        How many photos are in it.

    Raises:
        InputError: the path ends in something else, or the folder has no photo that can be read.
    """
    kind = path.suffix.lower()
    if kind not in (".h5", ".hdf5", ".npz"):
        raise InputError(f"{path}: the ending says what is written: give one of .h5, .hdf5 or .npz")
    photos = find_photos(folder)
    batches = list(encode_photos(encoder, photos, workers))
    if not batches:
        raise InputError(f"{folder}: none of its photos can be read (named above)")
    features = np.concatenate([made for _, made in batches])
    names = [name_below(photos[number], folder) for numbers, _ in batches for number in numbers]
    gallery = os.path.abspath(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        if kind == ".npz":
            with temporary.open("wb") as file:
                paths, folder_name, digest = (np.array(text) for text in (names, gallery, encoder.digest))
                np.savez(file, features=features, paths=paths, gallery=folder_name, encoder=digest)
        else:
            with writing_hdf5(temporary) as (file, _):
                file["features"] = features
                file.create_dataset("paths", data=[os.fsencode(name) for name in names], dtype=h5py.string_dtype())
                file.attrs["gallery"] = np.bytes_(os.fsencode(gallery))
                file.attrs["encoder"] = encoder.digest
    return len(names)
