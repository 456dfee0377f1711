"""The palette: the colours of the garments in some training photos, dealt out to all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist

from data.annotation import Region
from data.arrays import read_arrays
from data.runtime.errors import InputError
from data.runtime.files import replacing
from data.sheet import contact_sheet
from pipeline.annotate.annotator import Annotator
from pipeline.annotate.people import read_people
from pipeline.cielab import to_cielab
from pipeline.framing import resize
from pipeline.outfits.garments import measure, pick_apart

FILE = "palette.npz"
SHEET = "palette.png"

# Less of a region than this share of the photo is a crumb of the parsing, not a garment.
_LEAST_GARMENT = 0.01
# A skirt and trousers stand in for each other: both are what is worn below.
_INSTEAD = {Region.SKIRT: Region.TROUSERS, Region.TROUSERS: Region.SKIRT}
# From how many times as many photos as there are versions their colours are chosen. Tried 1, 2, 4 and 8 on dark crops
# of pedestrians: a photo's versions are 12.3, 14.3, 15.0 and 15.0 apart in CIELAB, the nearest 4.3, 6.4, 7.9 and 8.7
# from the photo; more would deal the same few odd photos to all.
_DRAWN = 4
# Pictures of the sheet: how many beside each other, and of what height.
_ACROSS, _HEIGHT = 16, 64


@dataclass(frozen=True)
class Palette:
    """The garments of N photos.

    Attributes:
        photos: names below the data set's root.
        pictures: uint8 (N, 64, W, 3), small ones.
        means: float32 (N, 8, 3), the mean L, a and b of each region, NaN where the photo has no such garment.
        spreads: float32 (N, 8), the standard deviation of L there.
    """

    photos: tuple[str, ...]
    pictures: npt.NDArray[np.uint8]
    means: npt.NDArray[np.float32]
    spreads: npt.NDArray[np.float32]

    def deal(
        self, versions: int, seed: int, name: str, own: npt.NDArray[np.float32] | None = None
    ) -> npt.NDArray[np.int32]:
        """Draw different photos for the versions of the photo `name`, never the photo itself.

        Four times as many as there are versions are drawn by seed and name. Of these serve the ones in whose colours
        the photo differs most from itself and from its other versions.

        Args:
            versions: how many.
            seed: of the draw.
            name: the photo's.
            own: (8, 3), the mean colours of the photo's regions; without them, those drawn first serve.

        Returns:
            Their numbers, (versions,).
        """
        digest = hashlib.sha256(f"{seed} {name!r}".encode()).digest()
        order = np.random.default_rng(int.from_bytes(digest[:8], "little")).permutation(len(self.photos))
        others = [int(number) for number in order if self.photos[number] != name]
        if own is None:
            return np.array(others[:versions], np.int32)
        drawn = others[: _DRAWN * versions]
        outfits = np.stack([own, *(self._worn(number, own) for number in drawn)])[:, ~np.isnan(own[:, 0])]
        flat = outfits.reshape(len(outfits), -1)
        picked = pick_apart(cdist(flat, flat), 0, versions + 1)[1:]
        return np.array([drawn[number - 1] for number in picked], np.int32)

    def garment(self, number: int, region: int) -> tuple[npt.NDArray[np.float32], float] | None:
        """Mean colour and spread of what photo `number` wears there, skirt for trousers if need be, or None."""
        for worn in (region, _INSTEAD.get(Region(region), region)):
            if not np.isnan(self.spreads[number, worn]):
                return self.means[number, worn], float(self.spreads[number, worn])
        return None

    def _worn(self, number: int, own: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The colours (8, 3) of a photo's regions once it takes those of photo `number`: what that lacks stays."""
        colours = own.copy()
        for region in np.nonzero(~np.isnan(own[:, 0]))[0]:
            if (garment := self.garment(number, int(region))) is not None:
                colours[region] = garment[0]
        return colours


def collect(
    photos: Sequence[Path],
    root: Path,
    annotator: Annotator,
    regions: Sequence[int],
    size: tuple[int, int],
    fewest: int,
) -> Palette:
    """Measure the garments in photos.

    Args:
        photos: the files.
        root: the data set's folder.
        annotator: gives pose and parsing.
        regions: labels of the regions to measure.
        size: (height, width) of the store, in which colours are measured.
        fewest: how many photos must be left without those that cannot be read or show no usable person.

    Returns:
        The palette.

    Raises:
        InputError: too few are left, or pose and parsing do not belong together.
    """
    entries = list(_measured(photos, root, annotator, regions, size))
    if len(entries) < fewest:
        raise InputError(
            f"only {len(entries)} of {len(photos)} training photos show a usable person, but {fewest} are needed to "
            "take colours from: see that pose and parsing belong to the photos"
        )
    kept, pictures, means, spreads = zip(*entries, strict=True)
    return Palette(kept, np.stack(pictures), np.stack(means), np.stack(spreads))


def save(folder: Path, palette: Palette) -> None:
    """Write a palette and a sheet of its pictures into a folder; the file that `load` reads appears last."""
    pictures = list(palette.pictures)
    rows = [pictures[start : start + _ACROSS] for start in range(0, len(pictures), _ACROSS)]
    with replacing(folder / SHEET) as temporary:
        contact_sheet(rows).save(temporary, format="PNG")
    photos = np.array([photo.encode("utf-8", "surrogateescape") for photo in palette.photos])
    with replacing(folder / FILE) as temporary, temporary.open("wb") as file:
        np.savez(file, photos=photos, pictures=palette.pictures, means=palette.means, spreads=palette.spreads)


def load(folder: Path) -> Palette:
    """Read what `save` wrote. Raises InputError if it is damaged."""
    try:
        file = read_arrays(folder / FILE)
        photos = tuple(photo.decode("utf-8", "surrogateescape") for photo in file["photos"])
        return Palette(photos, file["pictures"], file["means"], file["spreads"])
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{folder / FILE}: damaged ({error}): remove {folder} and repeat `make sync`") from error


_Entry = tuple[str, npt.NDArray[np.uint8], npt.NDArray[np.float32], npt.NDArray[np.float32]]


def _measured(
    photos: Sequence[Path],
    root: Path,
    annotator: Annotator,
    regions: Sequence[int],
    size: tuple[int, int],
) -> Iterator[_Entry]:
    """Name, small picture, means and spreads of each photo that can be read and shows a garment."""
    for photo, annotation in read_people(photos, root, annotator):
        small = resize(photo.pixels, size)
        means, spreads = measure(to_cielab(small), annotation.resize(*size).parsing, regions, _LEAST_GARMENT)
        if not np.isnan(spreads).all():
            icon = resize(small, (_HEIGHT, max(1, size[1] * _HEIGHT // size[0])))
            yield photo.name, icon, means, spreads
