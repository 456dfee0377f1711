"""Random numbers as a function of a position: the same seed, purpose, epoch and step always draw the same.

Nothing is carried from step to step, so a resumed run has no generator to restore, and no part of the program can
disturb the draws of another.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What the numbers are for; each purpose has draws of its own."""

    WEIGHTS = 0
    CALIBRATION = 1
    MEMORY = 2
    PLAN = 3
    AUGMENTATION = 4
    NETWORK = 5


def generator(seed: int, purpose: Purpose, *position: int) -> np.random.Generator:
    """A numpy generator for this purpose at this position (epoch, step, …)."""
    return np.random.default_rng(np.random.SeedSequence((seed, int(purpose), *position)))


def torch_seed(seed: int, purpose: Purpose, *position: int) -> int:
    """A seed in [0, 2⁶³) for torch's own generator, for what draws inside the network (initial weights, dropout)."""
    return int(generator(seed, purpose, *position).integers(1 << 63))
