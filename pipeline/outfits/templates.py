"""Clothing templates: the photos whose clothes all others are redrawn in, and the file that keeps them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from data.annotation import Region
from data.arrays import read_arrays
from data.runtime.errors import InputError
from data.runtime.files import replacing
from data.sheet import contact_sheet
from pipeline.outfits.shape import Shape

FILE = "templates.npz"
SHEET = "templates.png"

# How many stand beside each other on the sheet.
_ACROSS = 16


@dataclass(frozen=True)
class Templates:
    """T templates.

    Attributes:
        photos: their paths.
        pictures: uint8 (T, H, W, 3), in the store's size.
        codes: float32 (T, 9, 4C), their style's.
        present: float32 (T, 8), which regions they have.
        shapes: of their clothes.
        reasons: why each was chosen, empty where that was not recorded.
    """

    photos: tuple[str, ...]
    pictures: npt.NDArray[np.uint8]
    codes: npt.NDArray[np.float32]
    present: npt.NDArray[np.float32]
    shapes: tuple[Shape, ...]
    reasons: tuple[str, ...] = ()

    def without_shoes(self) -> npt.NDArray[np.float32]:
        """Which regions they have, (T, 8); shoes alone, which are labelled as trousers, do not count as trousers.

        For redrawing in the photo's own shape: the shoes of somebody in a skirt or a dress must not colour trousers.
        """
        present = self.present.copy()
        present[[shape.lower != "trousers" for shape in self.shapes], Region.TROUSERS] = 0
        return present


def deal(count: int, versions: int, seed: int, name: str) -> npt.NDArray[np.int32]:
    """Give the templates that the versions of a photo wear, (versions,).

    Args:
        count: of templates; if there are just as many as versions, every photo wears all, in order.
        versions: S.
        seed: of the draw.
        name: the photo's, which decides its draw with the seed.
    """
    if count == versions:
        return np.arange(versions, dtype=np.int32)
    digest = hashlib.sha256(f"{seed} {name!r}".encode()).digest()
    random = np.random.default_rng(int.from_bytes(digest[:8], "little"))
    return random.choice(count, versions, replace=False).astype(np.int32)


def save(folder: Path, templates: Templates) -> None:
    """Write the templates and their contact sheet into a folder; the file of the templates appears last.

    On the sheet, templates stand below each other beside the reasons for their choice where these are known.
    """
    pictures = list(templates.pictures)
    across = 1 if templates.reasons else _ACROSS
    rows = [pictures[start : start + across] for start in range(0, len(pictures), across)]
    with replacing(folder / SHEET) as temporary:
        contact_sheet(rows, templates.reasons).save(temporary, format="PNG")
    with replacing(folder / FILE) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            photos=np.array([photo.encode("utf-8", "surrogateescape") for photo in templates.photos]),
            pictures=templates.pictures,
            codes=templates.codes,
            present=templates.present,
            cuts=np.array([json.dumps(asdict(shape)) for shape in templates.shapes]),
            reasons=np.array(templates.reasons, np.str_),
        )


def load(folder: Path) -> Templates:
    """Read what `save` wrote. Raises InputError if it is damaged."""
    try:
        file = read_arrays(folder / FILE)
        photos = tuple(photo.decode("utf-8", "surrogateescape") for photo in file["photos"])
        shapes = tuple(Shape(**json.loads(str(shape))) for shape in file["cuts"])
        reasons = tuple(map(str, file["reasons"])) if "reasons" in file else ()
        return Templates(photos, file["pictures"], file["codes"], file["present"], shapes, reasons)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / FILE}: damaged ({error}): remove {folder} and repeat `make sync`") from error
