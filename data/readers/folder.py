"""A folder of photos without labels: any pictures, nested as they come.

They can be redrawn, trained on and searched in. To measure retrieval, people must be known: see `csv_file`.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from data.annotation import FOLDER
from data.benchmark import Benchmark
from data.readers import layout
from data.record import Unlabelled
from data.runtime.errors import InputError
from data.runtime.places import WORK


def read(root: Path) -> Benchmark:
    """Return all pictures in `root` and the folders inside it as training photos of unknown people.

    Stored annotations (`root`/annotation) and what the commands themselves write (work/) are passed over.

    Raises:
        InputError: no such folder, or no picture in it.
    """
    if not root.is_dir():
        raise InputError(f"{root} is not a folder: give the folder of your photos as DATA_ROOT")
    pictures, here = layout.images(root), root.absolute()
    # A folder inside work/, such as a data set's, was meant as it was named.
    own = [place for place in (here / FOLDER, WORK.absolute()) if place.is_relative_to(here)]
    inside = [os.fsencode(f"{place.relative_to(here).as_posix()}/").removeprefix(b"./") for place in own]
    photos = pictures.only(~np.any([np.char.startswith(pictures.names, place) for place in inside], axis=0))
    if not photos:
        raise InputError(f"{root}: no picture in it but annotations: give the folder of your photos as DATA_ROOT")
    if len(photos) < len(pictures):
        places = " and ".join(str(place) for place in own)
        layout.say_once(
            f"{len(pictures) - len(photos):,} pictures are left out, as they are no photos: those in {places}"
        )
    return Benchmark("folder", root, Unlabelled(photos), {})
