"""Backgrounds: what is behind the people of other photos, to be put behind those of a batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from torch import Tensor

from data.shards import SyncStore
from trainer.batches.augment import Input

_PLATES = 1024
"""Photos whose backgrounds are kept, drawn from all: 200 MB at most at 256x128."""

_PERSON = 8  # of a mask's 255: beyond that a pixel is tinged by the person
_RIM = 1  # pixels around, which resizing and JPEG tinge
_LEAST = 0.15  # of a picture must be background


@dataclass(frozen=True)
class Backgrounds:
    """Pictures with the people taken out, in strips: each beside its mirror image and itself again.

    `plates`: uint8 (M, 3, H, 3W), of which any window of width W is a background without a seam.
    """

    plates: Tensor

    def choose(self, draws: Tensor) -> Tensor:
        """Choose backgrounds, uint8 (B, 3, H, W), by draws (B, 2), uniform in [0, 1): the strip and the window."""
        count, _, _, across = self.plates.shape
        width = across // 3
        windows = self.plates.unfold(3, width, 1)
        strip, place = (draws * draws.new_tensor([count, 2 * width])).long().unbind(1)
        return windows[strip, :, :, place]


def find_backgrounds(store: SyncStore, wanted: Input, random: np.random.Generator) -> Backgrounds | None:
    """Take the people out of photos of a store; None where it does not know of any where the person is.

    What stood behind a person is taken to be the mirror image, at their outline, of what is beside them: it is as sharp
    as the rest. A photo that is all person gives nothing.

    Args:
        store: the shards.
        wanted: the size that is trained at.
        random: draws the photos.
    """
    plates = []
    for index in random.permutation(len(store))[:_PLATES]:
        photo, mask = store.group(int(index))[0], store.masks([int(index)])[0, 0]
        picture, people = (
            np.asarray(Image.fromarray(pixels).resize(wanted.size[::-1], Image.Resampling.BILINEAR))
            for pixels in (photo, mask)
        )
        person = ndimage.binary_dilation(people > _PERSON, iterations=_RIM)
        if person.mean() <= 1 - _LEAST:
            plate = take_out(picture, person)
            plates.append(np.concatenate([plate, plate[:, ::-1], plate], axis=1))
    if not plates:
        return None
    return Backgrounds(torch.from_numpy(np.stack(plates)).permute(0, 3, 1, 2).contiguous())


def take_out(picture: np.ndarray, person: np.ndarray) -> np.ndarray:
    """Draw the background on over a person.

    Args:
        picture: uint8 (H, W, 3).
        person: bool (H, W), not True everywhere.

    Returns:
        uint8 (H, W, 3): pixels of the person become those that lie as far on the other side of their nearest pixel of
        background, or that pixel itself where there is none or it is the person's.
    """
    nearest = ndimage.distance_transform_edt(person, return_distances=False, return_indices=True)
    beyond = 2 * nearest - np.indices(person.shape)
    limits = np.array(person.shape)[:, None, None]
    inside = ((beyond >= 0) & (beyond < limits)).all(0)
    beyond = np.where(inside, beyond, nearest)
    source = np.where(person[tuple(beyond)], nearest, beyond)
    return picture[tuple(source)]
