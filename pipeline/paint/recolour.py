"""The recolouring painter: each garment in the colour of another photo's garment of that kind, without a generator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from data.annotation import CLOTHING_REGIONS
from data.photo import Photo
from pipeline.annotate.annotator import Annotator
from pipeline.annotate.people import find_people
from pipeline.cielab import to_cielab, to_srgb
from pipeline.framing import resize
from pipeline.loaded import PROCESS
from pipeline.outfits.garments import measure
from pipeline.paint import palette as palettes
from pipeline.paint.mask import person_mask
from pipeline.paint.painter import Redrawn, digest_inputs
from pipeline.paint.palette import Palette

CANDIDATES = 256
"""From how many training photos colours are taken; they are drawn from all."""

# The folds of a garment stay between half and one and a half times as strong, whatever the other garment's are: by its
# spread alone a striped pullover would make stripes of noise, and a white blouse would lose its folds.
_WEAKEST, _STRONGEST = 0.5, 1.5
# Percentiles of a garment's lightness that are surely its own. What lies beyond may be ground that shows at the edge:
# moved on with the garment, it made bright specks around dark trousers in small photos.
_SURE = (10, 90)
# Width of the seam, as a Gaussian's sigma in pixels at a height of 256; found by looking at rendered people.
_SEAM_AT_256 = 1.0


@dataclass(frozen=True)
class Sitter:
    """A person whose garments are to be recoloured, in the store's size.

    Attributes:
        lab: float32 (P, 3), the pixels of the clothes in CIELAB.
        clothing: bool (H, W), where they are.
        means: float32 (8, 3), of each region, as `pipeline.outfits.garments.measure` gives them.
        spreads: float32 (8,), likewise.
        ranges: float32 (8, 2), the lightness of each region at two percentiles that are surely the garment's own.
        shares: float32 (8, P), how much of each region's colour a pixel of the clothes takes.
        mask: uint8 (H, W), how much of a pixel is the person.
    """

    lab: npt.NDArray[np.float32]
    clothing: npt.NDArray[np.bool_]
    means: npt.NDArray[np.float32]
    spreads: npt.NDArray[np.float32]
    ranges: npt.NDArray[np.float32]
    shares: npt.NDArray[np.float32]
    mask: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Sketch:
    """B photos before they are recoloured.

    `originals`: uint8 (B, H, W, 3). `dealt`: int32 (B, S), whose colours each version takes. `sitters`: the people, by
    the photo's number. `agreement` and `unannotated` are those of `Redrawn`.
    """

    originals: npt.NDArray[np.uint8]
    dealt: npt.NDArray[np.int32]
    sitters: Mapping[int, Sitter]
    agreement: npt.NDArray[np.float32]
    unannotated: Mapping[int, str]


class RecolourPainter:
    """Gives each photo's garments the colours of S other training photos' garments, far from each other; a `Painter`.

    A garment's mean in CIELAB becomes the other garment's; texture and folds stay, stronger or weaker as the other's
    lightness varies more or less, within bounds. The lightest and the darkest pixels move no farther out than the rest.
    Garments of one photo go together. Where the other photo lacks a garment of that kind, the own colour stays. Outside
    the clothes, as the parsing has them, the photo's pixels stay to the bit; inside, the new colour sets in along the
    edge.

    Args:
        root: the data set's folder.
        annotator: gives photos their pose and parsing.
        versions: S.
        size: (height, width) of the store.
        regions: labels of the regions to recolour.
        seed: of the draw of the photos that give colours, and of the dealing.
    """

    device = "cpu"

    def __init__(
        self,
        root: Path,
        annotator: Annotator,
        versions: int = 4,
        size: tuple[int, int] = (256, 128),
        regions: Sequence[int] = CLOTHING_REGIONS,
        seed: int = 0,
    ) -> None:
        self.root, self.annotator, self.versions, self.size = root, annotator, versions, size
        self.regions, self.seed = tuple(int(region) for region in regions), seed
        self.folder: Path | None = None

    @cached_property
    def recipe(self) -> Mapping[str, Any]:
        """What decides a pixel; `version` is raised when colours are moved otherwise."""
        return {
            "painter": "recolour",
            "version": 2,
            "annotator": self.annotator.digest,
            "colours": {"photos": CANDIDATES, "seed": self.seed},
            "regions": self.regions,
        }

    @property
    def origin(self) -> str:
        """The annotator's."""
        return self.annotator.origin

    def prepare(self, folder: Path, photos: Sequence[Path]) -> None:
        """Measure the garments of 256 photos, unless an earlier run did, and save them with their sheet."""
        if not (folder / palettes.FILE).is_file():
            drawn = np.random.default_rng(self.seed).permutation(len(photos))[:CANDIDATES]
            donors = [photos[number] for number in drawn]
            # One more than there are versions, since a photo does not wear its own colours.
            fewest = self.versions + 1
            found = palettes.collect(donors, self.root, self.annotator, self.regions, self.size, fewest)
            palettes.save(folder, found)
        self.folder = folder

    def inputs(self, names: Sequence[str]) -> str:
        """Digest the recipe, the palette, and what the annotator has for these photos."""
        return digest_inputs(self.recipe, self._prepared / palettes.FILE, self.annotator, names)

    def sketch(self, photos: Sequence[Photo]) -> Sketch:
        """Annotate the photos and measure their garments."""
        originals = np.stack([resize(photo.pixels, self.size) for photo in photos])
        people = find_people(self.annotator, photos)
        sitters = {
            row: _sit(originals[row], annotation.resize(*self.size).parsing, self.regions)
            for row, annotation in people.annotations.items()
        }
        colours = [sitters[row].means if row in sitters else None for row in range(len(photos))]
        dealt = [
            self._palette.deal(self.versions, self.seed, photo.name, own)
            for photo, own in zip(photos, colours, strict=True)
        ]
        return Sketch(originals, np.stack(dealt), sitters, people.agreement, people.reasons)

    def paint(self, sketch: Sketch) -> Redrawn:
        """Recolour the garments."""
        count = len(sketch.originals)
        images = sketch.originals[:, None].repeat(self.versions, 1)
        clothing = np.zeros((count, *self.size), np.bool_)
        found = np.zeros(count, np.bool_)
        masks = np.zeros((count, *self.size), np.uint8)
        for row, sitter in sketch.sitters.items():
            found[row], clothing[row], masks[row] = True, sitter.clothing, sitter.mask
            for version, donor in enumerate(sketch.dealt[row]):
                images[row, version][sitter.clothing] = to_srgb(_recoloured(sitter, self._palette, int(donor)))
        agreement, unannotated = sketch.agreement, sketch.unannotated
        return Redrawn(images, found, sketch.dealt, clothing, agreement, unannotated, masks[:, None])

    @property
    def _prepared(self) -> Path:
        if self.folder is None:
            raise RuntimeError("prepare() comes first")
        return self.folder

    @property
    def _palette(self) -> Palette:
        folder = self._prepared
        return PROCESS.get("palette", folder, lambda: palettes.load(folder))


def _sit(pixels: npt.NDArray[np.uint8], parsing: npt.NDArray[np.uint8], regions: Sequence[int]) -> Sitter:
    lab = to_cielab(pixels)
    clothing = np.isin(parsing, regions)
    means, spreads = measure(lab, parsing, regions)
    sigma = _SEAM_AT_256 * len(pixels) / 256
    ranges = np.zeros((len(spreads), 2), np.float32)
    shares = np.zeros((len(spreads), int(clothing.sum())), np.float32)
    for region in regions:
        if not np.isnan(spreads[region]):
            soft = ndimage.gaussian_filter((parsing == region).astype(np.float32), sigma, mode="nearest")
            shares[region] = soft[clothing]
            ranges[region] = np.percentile(lab[parsing == region, 0], _SURE)
    return Sitter(lab[clothing], clothing, means, spreads, ranges, shares, person_mask(parsing))


def _recoloured(sitter: Sitter, palette: Palette, donor: int) -> npt.NDArray[np.float32]:
    """The clothes' pixels (P, 3) of CIELAB in a donor's colours."""
    lab = sitter.lab.copy()
    for region in np.nonzero(~np.isnan(sitter.spreads))[0]:
        garment = palette.garment(donor, int(region))
        if garment is None:
            continue
        mean, spread = garment
        own = sitter.means[region]
        folds = np.clip(spread / max(float(sitter.spreads[region]), 1e-3), _WEAKEST, _STRONGEST)
        moved = sitter.lab + (mean - own)
        lightness = sitter.lab[:, 0]
        low, high = mean[0] + folds * (sitter.ranges[region] - own[0])
        bounds = np.minimum(lightness, low), np.maximum(lightness, high)
        moved[:, 0] = np.clip(mean[0] + folds * (lightness - own[0]), *bounds)
        lab += sitter.shares[region][:, None] * (moved - sitter.lab)
    return lab
