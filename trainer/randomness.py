"""Random numbers as a function of a position: the same seed, purpose, epoch and step always draw the same.

Nothing is carried from step to step, so a resumed run has no random state to restore, and no part of the program can
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
    BACKGROUNDS = 6
    BEHIND = 7
    LABELLER = 8


def stream(seed: int, purpose: Purpose, *position: int) -> np.random.Generator:
    """Give a source of numbers for this purpose at this position (epoch, step, …)."""
    return np.random.default_rng(np.random.SeedSequence((seed, int(purpose), *position)))


def torch_seed(seed: int, purpose: Purpose, *position: int) -> int:
    """Give a seed in [0, 2⁶³) for torch's own draws inside the network (initial weights, dropout)."""
    return int(stream(seed, purpose, *position).integers(1 << 63))
