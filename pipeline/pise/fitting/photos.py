"""Examples from a data set's own photos, of which no picture in other clothes exists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from data.annotation import CLOTHING_REGIONS, MIRRORED_JOINTS, Annotation, Region, pose_maps
from data.record import ImageRecord
from data.runtime.errors import InputError
from data.runtime.progress import progress
from pipeline.annotate.annotator import Annotator
from pipeline.annotate.people import read_people
from pipeline.framing import Canvas
from pipeline.pise.fitting.batch import Batch

_AT_ONCE = 32  # photos read and annotated together
_SMALLEST = 0.8  # the part of each side that a crop keeps at least: most of a person stays in it
_PASTED = 0.5  # the share of sources in pasted clothes; the others wear their own in other colours
_SEEN_ALIKE = 0.5  # the share of sources that are the very view of the target, as in redrawing
# Found by trying: folds stay visible, and no colour is driven out of [-1, 1] altogether.
_CONTRASTS = (0.5, 1.3)
_COLOURS = (-0.8, 0.8)


@dataclass(frozen=True)
class View:
    """A crop of each of B photos, perhaps flipped, brought back to the photo's size.

    What is seen at (x, y) lies in the photo at `scale` · (x, y) + `shift`, both float32 (B, 2), in coordinates that go
    from -1 to 1 across the picture; a flip is a negative scale of x.
    """

    scale: npt.NDArray[np.float32]
    shift: npt.NDArray[np.float32]

    @staticmethod
    def whole(count: int) -> View:
        """See photos as they are."""
        return View(np.ones((count, 2), np.float32), np.zeros((count, 2), np.float32))

    @staticmethod
    def draw(rng: np.random.Generator, count: int) -> View:
        """Draw crops of 80 to 100 % of each side, anywhere in the photo, every other one flipped."""
        scale = rng.uniform(_SMALLEST, 1, (count, 2)).astype(np.float32)
        shift = rng.uniform(-1, 1, (count, 2)).astype(np.float32) * (1 - scale)
        scale[:, 0] *= rng.choice(np.array([-1, 1], np.float32), count)
        return View(scale, shift)

    def where(self, chosen: npt.NDArray[np.bool_], other: View) -> View:
        """Take this view of the photos that are `chosen` (B,), the other one of the rest."""
        picked = chosen[:, None]
        return View(np.where(picked, self.scale, other.scale), np.where(picked, self.shift, other.shift))

    def image(self, image: torch.Tensor) -> torch.Tensor:
        """See images (B, C, H, W) so, bilinear."""
        return functional.grid_sample(
            image, self._grid(image.shape), "bilinear", padding_mode="border", align_corners=False
        )

    def regions(self, parsing: torch.Tensor) -> torch.Tensor:
        """See label maps (B, H, W) so, by nearest neighbour: one-hot float32 (B, 8, H, W)."""
        labels = parsing.float().unsqueeze(1)
        grid = self._grid(labels.shape)
        seen = functional.grid_sample(labels, grid, "nearest", padding_mode="border", align_corners=False)
        return functional.one_hot(seen[:, 0].long(), len(Region)).permute(0, 3, 1, 2).float()

    def joints(self, joints: npt.NDArray[np.float32], height: int, width: int) -> npt.NDArray[np.float32]:
        """See joints (B, 18, 2) in pixels so; a flip makes a left hand the right one. Some may lie outside."""
        size = np.array([width, height], np.float32)
        seen = (2 * joints / size - 1 - self.shift[:, None]) / self.scale[:, None]
        flipped = self.scale[:, 0, None, None] < 0
        placed = (np.where(flipped, seen[:, MIRRORED_JOINTS], seen) + 1) * size / 2
        return placed.astype(np.float32)

    def _grid(self, shape: torch.Size) -> torch.Tensor:
        theta = torch.zeros(len(self.scale), 2, 3)
        theta[:, [0, 1], [0, 1]] = torch.from_numpy(self.scale)
        theta[:, :, 2] = torch.from_numpy(self.shift)
        return functional.affine_grid(theta, list(shape), align_corners=False)


@dataclass(frozen=True)
class Photos:
    """N photos to learn from, of one size.

    `images` uint8 (N, H, W, 3), `parsings` uint8 (N, H, W), `joints` float32 (N, 18, 2) in pixels. `outfits` int64 (N,)
    numbers the clothes: photos of one number show the same person in the same clothes. Without such knowledge each
    photo has a number of its own.
    """

    images: npt.NDArray[np.uint8]
    parsings: npt.NDArray[np.uint8]
    joints: npt.NDArray[np.float32]
    outfits: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.images)

    def draw(self, rng: np.random.Generator, count: int) -> Batch:
        """Draw photos that are to be painted in their own clothes, out of others that were put in their place.

        The target is a view of the photo. The template shows its clothes: another view of it, or of another photo of
        the same outfit if there is one. The source is a view too, in every other example the target's, as it is when
        a data set is redrawn; but there the person wears something else, so that only the template tells what to
        paint: in half of the examples the clothes of another photo, cut out and laid over their own, else their own in
        other colours.
        """
        chosen = rng.choice(len(self), count, replace=count > len(self))
        images, parsings = self._pick(chosen)
        template, template_parsings = self._pick(self._mates(chosen, rng))
        lenders = (chosen + rng.integers(1, len(self), count)) % len(self)
        pasted = paste_clothes(images, parsings, *self._pick(lenders))
        tinted = tint_clothes(images, parsings, rng)
        worn = torch.where(torch.from_numpy(rng.random(count) < _PASTED).view(-1, 1, 1, 1), pasted, tinted)
        target_view, template_view = View.draw(rng, count), View.draw(rng, count)
        source_view = target_view.where(rng.random(count) < _SEEN_ALIKE, View.draw(rng, count))
        height, width = parsings.shape[1:]
        joints = target_view.joints(self.joints[chosen], height, width)
        return Batch(
            source=source_view.image(worn),
            source_parsing=source_view.regions(parsings),
            pose=torch.from_numpy(pose_maps(joints, height, width)),
            template=template_view.image(template),
            template_parsing=template_view.regions(template_parsings),
            target=target_view.image(images),
            target_parsing=target_view.regions(parsings),
        )

    def samples(self, rng: np.random.Generator, count: int) -> Batch:
        """Draw whole photos, each with another one as its template: what redrawing a data set will ask for.

        There is no true picture: the target is the source.
        """
        chosen = rng.choice(len(self), count, replace=count > len(self))
        images, parsings = self._pick(chosen)
        template, template_parsings = self._pick((chosen + rng.integers(1, len(self), count)) % len(self))
        height, width = parsings.shape[1:]
        whole = View.whole(count)
        own, pose = whole.regions(parsings), torch.from_numpy(pose_maps(self.joints[chosen], height, width))
        return Batch(images, own, pose, template, whole.regions(template_parsings), images, own)

    def _pick(self, chosen: npt.NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
        """Images (B, 3, H, W) in [-1, 1] and labels (B, H, W)."""
        pixels = torch.from_numpy(self.images[chosen]).permute(0, 3, 1, 2)
        return pixels.float() / 127.5 - 1, torch.from_numpy(self.parsings[chosen])

    def _mates(self, chosen: npt.NDArray[np.int64], rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """For each photo another one of its outfit, drawn; itself where it is the only one."""
        order = np.argsort(self.outfits, kind="stable")
        outfits = self.outfits[order]
        first = np.searchsorted(outfits, self.outfits[chosen])
        many = np.searchsorted(outfits, self.outfits[chosen], side="right") - first
        place = np.argsort(order, kind="stable")[chosen] - first
        step = 1 + rng.integers(0, np.maximum(many - 1, 1))
        return order[first + (place + step) % many]


def paste_clothes(
    images: torch.Tensor, parsings: torch.Tensor, others: torch.Tensor, other_parsings: torch.Tensor
) -> torch.Tensor:
    """Lay the clothes of other photos over those of B photos, without changing their shape.

    Where the other photo has the same region at the same place, its pixel is taken; elsewhere the mean of that region,
    or of all its clothes if it lacks the region. Images (B, 3, H, W), parsings (B, H, W).
    """
    clothed = _mean_colour(others, torch.isin(other_parsings, torch.tensor(CLOTHING_REGIONS)))
    pasted = images
    for region in CLOTHING_REGIONS:
        mask, lent = parsings == region, other_parsings == region
        mean = torch.where(lent.any(2).any(1).view(-1, 1, 1, 1), _mean_colour(others, lent), clothed)
        cloth = torch.where(lent.unsqueeze(1), others, mean)
        pasted = torch.where(mask.unsqueeze(1), cloth, pasted)
    return pasted


def tint_clothes(images: torch.Tensor, parsings: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Give each region of the clothes of B photos another colour and contrast; light, folds and pattern stay.

    The colour channels change places, differences from the region's mean are scaled by 0.5 to 1.3, the mean becomes
    any colour. Images (B, 3, H, W) in [-1, 1], parsings (B, H, W).
    """
    tinted = images
    for region in CLOTHING_REGIONS:
        mask = parsings == region
        channels = torch.from_numpy(rng.permuted(np.tile(np.arange(3), (len(images), 1)), axis=1))
        contrast = torch.from_numpy(rng.uniform(*_CONTRASTS, (len(images), 1, 1, 1)).astype(np.float32))
        colour = torch.from_numpy(rng.uniform(*_COLOURS, (len(images), 3, 1, 1)).astype(np.float32))
        relief = images - _mean_colour(images, mask)
        relief = torch.take_along_dim(relief, channels.view(-1, 3, 1, 1), 1)
        tinted = torch.where(mask.unsqueeze(1), (colour + contrast * relief).clamp(-1, 1), tinted)
    return tinted


def read_photos(
    records: Sequence[ImageRecord],
    root: Path,
    annotator: Annotator,
    size: tuple[int, int],
    most: int,
    seed: int = 0,
    fewest: int = 2,
    same_clothes: bool = False,
) -> Photos:
    """Read photos and their annotations, stretched to `size` (height, width) as redrawing does.

    Args:
        records: the photos; where there are more than `most`, that many are drawn by `seed`.
        root: the data set's folder.
        annotator: gives pose and parsing.
        size: height and width, multiples of 32.
        most: bounds the memory: 4·H·W bytes a photo.
        seed: of the draw.
        fewest: how many must be left when unreadable photos and those without a usable person are left out.
        same_clothes: whether to use the labels of person and clothes.

    Raises:
        InputError: too few photos are left, pose and parsing do not belong together, or `same_clothes` without labels.
    """
    if same_clothes:
        unlabelled = next((record.path for record in records if record.clothes is None), None)
        if unlabelled:
            raise InputError(f"{unlabelled}: its clothes are unknown: leave out --same-clothes")
    drawn = np.random.default_rng(seed).permutation(len(records))[:most]
    canvas = Canvas(*size)
    kept: list[tuple[npt.NDArray[np.uint8], Annotation]] = []
    owners: list[ImageRecord] = []
    by_path = {record.path: record for record in records}
    with progress("reading", len(drawn)) as shown:

        def paths() -> Iterator[Path]:
            for index in sorted(drawn):
                shown.advance()
                yield records[index].path

        for photo, annotation in read_people(paths(), root, annotator):
            kept.append(canvas.fit(photo.pixels, annotation)[:2])
            owners.append(by_path[photo.path])
    if len(kept) < fewest:
        raise InputError(
            f"only {len(kept)} of {len(drawn):,} training photos can be read and show a usable person, {fewest} are "
            "needed: see that pose and parsing belong to them, or give a smaller --batch"
        )
    labels = [(owner.person, owner.clothes) if same_clothes else owner.path.as_posix() for owner in owners]
    numbers = {label: number for number, label in enumerate(dict.fromkeys(labels))}
    return Photos(
        images=np.stack([image for image, _ in kept]),
        parsings=np.stack([annotation.parsing for _, annotation in kept]),
        joints=np.stack([annotation.joints for _, annotation in kept]),
        outfits=np.array([numbers[label] for label in labels], np.int64),
    )


def _mean_colour(images: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean (B, 3, 1, 1) of images (B, 3, H, W) where the mask (B, H, W) is true; 0 where that is nowhere."""
    inside = mask.unsqueeze(1).to(images.dtype)
    return (images * inside).sum((2, 3), keepdim=True) / inside.sum((2, 3), keepdim=True).clamp(min=1)
