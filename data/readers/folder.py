"""A folder of photos without labels: any pictures, nested as they come.

They can be redrawn, trained on and searched in. To measure retrieval, people must be known: see `csv_file`.
"""

from __future__ import annotations

from pathlib import Path

from data.annotation import FOLDER
from data.benchmark import Benchmark
from data.readers import layout
from data.record import ImageRecord
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
    # A folder inside work/, such as a data set's, was meant as it was named.
    own = [root / FOLDER, *([] if WORK.absolute() in root.absolute().parents else [WORK.absolute()])]
    pictures = layout.images(root)
    photos = [path for path in pictures if not any(place in path.absolute().parents for place in own)]
    if not photos:
        raise InputError(f"{root}: no picture in it but annotations: give the folder of your photos as DATA_ROOT")
    if len(photos) < len(pictures):
        places = " and ".join(str(place) for place in own)
        layout.say_once(
            f"{len(pictures) - len(photos):,} pictures are left out, as they are no photos: those in {places}"
        )
    return Benchmark("folder", root, [ImageRecord(path) for path in photos], {})
