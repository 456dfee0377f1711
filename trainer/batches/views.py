"""Views: what the encoder sees of a batch, augmented, and at times before other photos' backgrounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from data.shards import SyncStore
from trainer import distributed
from trainer.batches.augment import DRAWS, Behind, Input, augment, soft_masks
from trainer.batches.backgrounds import Backgrounds, find_backgrounds
from trainer.batches.groups import Groups
from trainer.config import Config
from trainer.randomness import Purpose, stream

_BEHIND_DRAWS = 3  # which background, which part of it, and whether


@dataclass(frozen=True)
class Views:
    """How groups become an encoder's input.

    Attributes:
        config: tells crop, flip, and how often backgrounds are exchanged.
        input: what the encoder takes.
        device: where it is.
        backgrounds: None where they stay.
    """

    config: Config
    input: Input
    device: torch.device
    backgrounds: Backgrounds | None = None

    @property
    def masked(self) -> bool:
        """Whether groups must come with the person's mask."""
        return self.backgrounds is not None

    def step(self, groups: Groups, epoch: int, iteration: int) -> Tensor:
        """Give the input of a step, as `view`; all is drawn from the position."""
        images = groups.images.shape[0] * groups.images.shape[1]
        # Drawn for the whole batch on every process, so that a photo's crop does not depend on how many there are.
        shape = (distributed.world_size(), images, DRAWS)
        draws = stream(self.config.seed, Purpose.AUGMENTATION, epoch, iteration).random(shape)
        return self.view(groups, draws[distributed.rank()], epoch, iteration)

    def view(self, groups: Groups, draws: np.ndarray, *position: int) -> Tensor:
        """Turn groups into input.

        Args:
            groups: n of them, with masks if these are `masked`.
            draws: (n x images, DRAWS), of crop and flip.
            position: of the draws for the backgrounds.

        Returns:
            float32 (n x images, 3, *input.size).
        """
        moved = groups.images.flatten(0, 1).to(self.device, non_blocking=True)
        behind = self._behind(groups, position)
        return augment(moved, torch.from_numpy(draws), self.input, self.config.crop, self.config.flip, behind)

    def _behind(self, groups: Groups, position: tuple[int, ...]) -> Behind | None:
        """Draw what stands behind each image; some keep what they have."""
        if self.backgrounds is None or groups.masks is None:
            return None
        count, images = groups.images.shape[:2]
        shape = (distributed.world_size(), count * images, _BEHIND_DRAWS)
        drawn = stream(self.config.seed, Purpose.BEHIND, *position).random(shape)[distributed.rank()]
        masks = groups.masks.to(self.device, non_blocking=True)
        people = soft_masks(masks.flatten(0, 1), self.input.size).unflatten(0, masks.shape[:2])
        people = people.expand(-1, images, -1, -1, -1).flatten(0, 1)
        own = torch.from_numpy(drawn[:, 2] >= self.config.backgrounds).to(self.device)
        return Behind(
            people.masked_fill(own.view(-1, 1, 1, 1), 1.0),
            self.backgrounds.choose(torch.from_numpy(drawn[:, :2]).to(self.device)),
        )


def make_views(config: Config, store: SyncStore, taken: Input, device: torch.device) -> Views:
    """Make the views of a training: backgrounds come from the store's own photos."""
    if not config.backgrounds:
        return Views(config, taken, device)
    found = find_backgrounds(store, taken, stream(config.seed, Purpose.BACKGROUNDS))
    return Views(config, taken, device, found and Backgrounds(found.plates.to(device)))
