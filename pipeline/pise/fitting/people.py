"""People: exact examples of a change of clothes, 3-D people each in the same four views in three outfits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from data.annotation import CLOTHING_REGIONS, Region, pose_maps, read_annotation
from data.photo import read_photo
from data.runtime.errors import InputError
from pipeline.annotate.parser.fitting.dye import blur, cloth
from pipeline.annotate.parser.fitting.pictures import HEIGHT, WIDTH
from pipeline.annotate.parser.fitting.view import View
from pipeline.pise.fitting.batch import Batch
from pipeline.pise.model.generator import before_backdrop

VIEWS, OUTFITS = 4, 3

_SAME_SHAPE = 0.15  # of the examples, in which the outfit stays and only its dye changes
_UNDYED = 0.3  # of the garments
_CUT_OFF = 0.1  # of the views end above the feet or begin below the head
_BLURRED = 0.25  # of the pictures
_MOST_NOISE = 0.03
_MISPLACED, _MISSED = 0.6, 0.04  # joints: pixels beside their place, and share of those not found
_DIMMEST, _BRIGHTEST = 0.6, 1.6  # light of a view, in terms of the person's mean

Dyes = tuple[torch.Tensor, torch.Tensor]
"""Of three garments each: what colours become, (B, 3, 3, 3) that mix and (B, 3, 3) that are added in mean light."""


@dataclass(frozen=True)
class People:
    """N people in four views and three outfits; the pictures of one view differ in nothing but the clothes.

    `images` uint8 (N, view, outfit, 256, 128, 3), `parsings` uint8 (N, view, outfit, 256, 128), `joints` float32
    (N, view, outfit, 18, 2); `size`: height and width of what is learnt from.
    """

    images: npt.NDArray[np.uint8]
    parsings: npt.NDArray[np.uint8]
    joints: npt.NDArray[np.float32]
    size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.images)

    def draw(self, rng: np.random.Generator, count: int) -> Batch:
        """Draw `count` people who change clothes, the template being another view of them in the new ones.

        Clothes are dyed, the new ones alike in target and template, so that no colour is known beforehand. Light, blur,
        noise, framing and joints vary as those of photos do.
        """
        chosen = _Choice.draw(rng, count, len(self))
        old, new = _draw_dyes(rng, count), _draw_dyes(rng, count)
        view, other = (self._frame(chosen.who, shown, rng) for shown in (chosen.view, chosen.template))
        here, there = (self._light(chosen.who, shown) for shown in (chosen.view, chosen.template))
        worn = self._see(chosen.who, chosen.view, chosen.worn, view)
        target = self._see(chosen.who, chosen.view, chosen.wanted, view)
        template = self._see(chosen.who, chosen.template, chosen.wanted, other)
        pictures = [_dyed(*worn, old, here), _dyed(*target, new, here), _dyed(*template, new, there)]
        light, other_light = _draw_light(rng, count), _draw_light(rng, count)
        pictures = [pictures[0] * light, pictures[1] * light, pictures[2] * other_light]
        soft, other_soft = (torch.from_numpy(rng.random(count) < _BLURRED).view(-1, 1, 1, 1) for _ in range(2))
        pictures = [
            torch.where(mask, blur(picture), picture)
            for mask, picture in zip((soft, soft, other_soft), pictures, strict=True)
        ]
        pictures = [_noisy(pictures[0], rng), pictures[1], _noisy(pictures[2], rng)]
        joints = self._joints(chosen, view)
        joints += rng.normal(0, _MISPLACED, joints.shape).astype(np.float32)
        joints[rng.random(joints.shape[:2]) < _MISSED] = np.nan
        return self._batch(pictures, [worn[1], target[1], template[1]], joints)

    def samples(self, rng: np.random.Generator, count: int) -> Batch:
        """Draw a batch to look at: pictures as they are."""
        return self.plain(_Choice.draw(rng, count, len(self), reshaped=True))

    def changes(self, at_once: int = 36) -> Iterator[Batch]:
        """Give every person in every view out of every outfit into every other one, the next view as template."""
        every = np.array(
            [
                (who, view, (view + 1) % VIEWS, worn, wanted)
                for who in range(len(self))
                for view in range(VIEWS)
                for worn in range(OUTFITS)
                for wanted in range(OUTFITS)
                if worn != wanted
            ]
        )
        for start in range(0, len(every), at_once):
            yield self.plain(_Choice(*every[start : start + at_once].T))

    def plain(self, chosen: _Choice) -> Batch:
        """Make a batch of pictures as they are, framed as in use."""
        view, other = (self._frame(chosen.who, shown, None) for shown in (chosen.view, chosen.template))
        seen = [
            self._see(chosen.who, chosen.view, chosen.worn, view),
            self._see(chosen.who, chosen.view, chosen.wanted, view),
            self._see(chosen.who, chosen.template, chosen.wanted, other),
        ]
        return self._batch([image for image, _ in seen], [regions for _, regions in seen], self._joints(chosen, view))

    def _batch(
        self, pictures: Sequence[torch.Tensor], regions: Sequence[torch.Tensor], joints: npt.NDArray[np.float32]
    ) -> Batch:
        """A batch of source, target and template, images of 0 to 1, before the backdrop."""
        source, target, template = (
            before_backdrop(picture.clamp(0, 1) * 2 - 1, mask) for picture, mask in zip(pictures, regions, strict=True)
        )
        pose = torch.from_numpy(pose_maps(joints, *self.size))
        return Batch(source, regions[0], pose, template, regions[2], target, regions[1])

    def _frame(self, who: npt.NDArray[np.int64], view: npt.NDArray[np.int64], rng: np.random.Generator | None) -> View:
        """Frame people whatever they wear."""
        anything = self.parsings[who, view].max(1)
        return View.framed(anything) if rng is None else View.draw(anything, rng, cut=_CUT_OFF, turn=0)

    def _see(
        self, who: npt.NDArray[np.int64], view: npt.NDArray[np.int64], outfit: npt.NDArray[np.int64], frame: View
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Images (B, 3, H, W) of 0 to 1 and regions (B, 8, H, W), one-hot."""
        image = frame.images(self.images[who, view, outfit], *self.size)
        labels = frame.labels(self.parsings[who, view, outfit], *self.size)
        return image, torch.stack([labels == region for region in Region], 1).float()

    def _joints(self, chosen: _Choice, frame: View) -> npt.NDArray[np.float32]:
        joints = self.joints[chosen.who, chosen.view, chosen.worn]
        return frame.joints(joints, self.parsings.shape[-2:], self.size)

    def _light(self, who: npt.NDArray[np.int64], view: npt.NDArray[np.int64]) -> torch.Tensor:
        """How bright the skin of each person is in a view, in terms of the person's mean over the views: (B,)."""
        skin = np.isin(self.parsings[who, :, 0], (Region.SKIN, Region.FACE))
        brightness = self.images[who, :, 0].mean(-1)
        mean = (brightness * skin).sum((2, 3)) / skin.sum((2, 3)).clip(1)
        light = (mean / mean.mean(1, keepdims=True).clip(1))[np.arange(len(who)), view]
        return torch.from_numpy(light.clip(_DIMMEST, _BRIGHTEST).astype(np.float32))


@dataclass(frozen=True)
class _Choice:
    """Which B people, in which view, as which template, out of and into which outfit."""

    who: npt.NDArray[np.int64]
    view: npt.NDArray[np.int64]
    template: npt.NDArray[np.int64]
    worn: npt.NDArray[np.int64]
    wanted: npt.NDArray[np.int64]

    @staticmethod
    def draw(rng: np.random.Generator, count: int, people: int, reshaped: bool = False) -> _Choice:
        """Draw them; with `reshaped` the outfit always changes."""
        who = rng.choice(people, count, replace=count > people)
        view, worn = rng.integers(VIEWS, size=count), rng.integers(OUTFITS, size=count)
        template = (view + rng.integers(1, VIEWS, count)) % VIEWS
        other = (worn + rng.integers(1, OUTFITS, count)) % OUTFITS
        same = (rng.random(count) < _SAME_SHAPE) & (not reshaped)
        return _Choice(who, view, template, worn, np.where(same, worn, other))


def read_people(folders: Sequence[Path], root: Path, size: tuple[int, int]) -> People:
    """Read people, each a folder of `view<1 to 4>_outfit<1 to 3>.jpg` of 256x128, with their annotations below `root`.

    Raises:
        InputError: a picture or an annotation is missing, or of another size.
    """
    images = np.empty((len(folders), VIEWS, OUTFITS, HEIGHT, WIDTH, 3), np.uint8)
    parsings = np.empty(images.shape[:-1], np.uint8)
    joints = np.empty((*images.shape[:3], 18, 2), np.float32)
    for place in np.ndindex(*images.shape[:3]):
        photo = folders[place[0]] / f"view{place[1] + 1}_outfit{place[2] + 1}.jpg"
        annotation, pixels = read_annotation(root, photo), read_photo(photo)
        if pixels.shape != images.shape[3:]:
            raise InputError(f"{photo}: {pixels.shape[0]}x{pixels.shape[1]} pixels, where {HEIGHT}x{WIDTH} are wanted")
        images[place], parsings[place], joints[place] = pixels, annotation.parsing, annotation.joints
    return People(images, parsings, joints, size)


def _draw_dyes(rng: np.random.Generator, count: int) -> Dyes:
    """Dyes of the three garments; nearly a third keep their colours."""
    mixing = np.tile(np.eye(3, dtype=np.float32), (count, len(CLOTHING_REGIONS), 1, 1))
    added = np.zeros((count, len(CLOTHING_REGIONS), 3), np.float32)
    for place in np.ndindex(count, len(CLOTHING_REGIONS)):
        if rng.random() >= _UNDYED:
            mixing[place] = rng.dirichlet([0.4] * 3, 3) * rng.uniform(0.4, 1.3)
            room = np.clip(0.85 - mixing[place].sum(1) * 0.4, 0.05, 1)
            added[place] = rng.uniform(-0.1, room) * (rng.uniform(0.3, 1) if rng.random() < 0.3 else 1)
    return torch.from_numpy(mixing), torch.from_numpy(added)


def _dyed(image: torch.Tensor, regions: torch.Tensor, dyes: Dyes, light: torch.Tensor) -> torch.Tensor:
    """Dye the garments of images (B, 3, H, W), in the light (B,) of each."""
    mixing, added = dyes
    dyed = image
    for number, region in enumerate(CLOTHING_REGIONS):
        cover, old = cloth(image, regions[:, region : region + 1])
        new = torch.einsum("bij,bjhw->bihw", mixing[:, number], old)
        new = new + added[:, number, :, None, None] * light.view(-1, 1, 1, 1)
        dyed = dyed + cover * (new.clamp(0.01, 0.99) - old)
    return dyed.clamp(0, 1)


def _draw_light(rng: np.random.Generator, count: int) -> torch.Tensor:
    brightness, cast = rng.uniform(-0.15, 0.1, (count, 1)), rng.uniform(-0.04, 0.04, (count, 3))
    return torch.from_numpy(np.exp(brightness + cast).astype(np.float32)).view(count, 3, 1, 1)


def _noisy(image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(int(rng.integers(2**31))))
    level = torch.from_numpy(rng.uniform(0, _MOST_NOISE, (len(image), 1, 1, 1)).astype(np.float32))
    return image + level * noise
