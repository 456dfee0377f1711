"""What may look at a training and never changes it."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from trainer.encoder import Encoder


class Observer(Protocol):
    """What may look at a training and never changes it: logs, and whoever knows the labels."""

    def say(self, line: str) -> None:
        """Take a line for the user."""

    def step(self, done: int, of: int, epoch: int) -> None:
        """Take note of a step."""

    def clusters(self, labels: np.ndarray) -> dict[str, float]:
        """Rate pseudo labels, int64 (N,), for the record."""

    def validate(self, encoder: Encoder) -> dict[str, float]:
        """Rate an encoder on people who are not trained on; `score` is what the best one has most of."""

    def epoch(self, history: list[dict[str, float]], labels: np.ndarray) -> None:
        """Take the record of every epoch so far, the last one new, and its pseudo labels, int64 (N,)."""


class Silence:
    """The observer of the other processes where several train together: one of them speaks for all."""

    def say(self, line: str) -> None:
        """Say nothing."""

    def step(self, done: int, of: int, epoch: int) -> None:
        """Show nothing."""

    def clusters(self, labels: np.ndarray) -> dict[str, float]:
        """Rate nothing."""
        return {}

    def validate(self, encoder: Encoder) -> dict[str, float]:
        """Rate nothing."""
        return {}

    def epoch(self, history: list[dict[str, float]], labels: np.ndarray) -> None:
        """Write nothing."""
