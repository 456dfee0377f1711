"""State of a training: all that a checkpoint holds beside the settings, and what a step measures."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from trainer.config import Config
from trainer.encoder import Encoder
from trainer.learners import Labeller
from trainer.memory import ClusterMemory
from trainer.method import UPDATES


@dataclass(frozen=True)
class Measures:
    """Numbers of a step, or of several added up; on every process the means over all.

    Attributes:
        loss: L = L_q + alpha L_s.
        l_q: contrast with the memories (eq. 8).
        l_s: divergence of a photo from its redrawn versions (eq. 9).
        gradient_norm: length of the gradient over all parameters, before the optimiser's step.
        feature_norm: mean length of the backbone's vectors, before the neck.
    """

    loss: float = 0.0
    l_q: float = 0.0
    l_s: float = 0.0
    gradient_norm: float = 0.0
    feature_norm: float = 0.0

    def __add__(self, other: Measures) -> Measures:
        """Add number by number."""
        pairs = zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True)
        return Measures(*(ours + theirs for ours, theirs in pairs))

    def mean(self, steps: int) -> dict[str, float]:
        """Give the mean over so many steps by the names that metrics.jsonl has for them."""
        names = {"l_q": "L_q", "l_s": "L_s"}
        return {names.get(name, name): total / steps for name, total in dataclasses.asdict(self).items()}


@dataclass
class State:
    """All that a checkpoint holds beside the settings.

    Attributes:
        encoder: what is trained.
        optimiser: of its parameters.
        epoch: epochs that are over.
        iteration: steps taken of the epoch in hand.
        labels: its pseudo labels, int64 (N,).
        memories: its cluster memories.
        total: what its steps measured, added up.
        best: the validation's highest score.
        history: the record of each epoch.
        labeller: what photos are clustered by, if it is not the encoder.
    """

    encoder: Encoder
    optimiser: torch.optim.Optimizer
    epoch: int = 0
    iteration: int = 0
    labels: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    memories: list[ClusterMemory] = field(default_factory=list)
    total: Measures = Measures()
    best: float | None = None
    history: list[dict[str, float]] = field(default_factory=list)
    labeller: Labeller | None = None

    def content(self) -> dict[str, Any]:
        """Give tensors and plain values, for torch.save."""
        return {
            "encoder": self.encoder.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "epoch": self.epoch,
            "iteration": self.iteration,
            "labels": torch.from_numpy(self.labels),
            "memories": [memory.features for memory in self.memories],
            "sums": list(dataclasses.astuple(self.total)),
            "best": self.best,
            "history": self.history,
            **({"labeller": self.labeller.content()} if self.labeller else {}),
        }

    def restore(self, content: dict[str, Any], config: Config) -> None:
        """Take over what content() gave."""
        self.encoder.load_state_dict(content["encoder"])
        if self.labeller:
            self.labeller.restore(content["labeller"])
        self.optimiser.load_state_dict(content["optimiser"])
        self.epoch, self.iteration = content["epoch"], content["iteration"]
        self.labels = content["labels"].numpy()
        self.total, self.best, self.history = Measures(*content["sums"]), content["best"], content["history"]
        self.memories = []
        for features, update in zip(content["memories"], UPDATES[config.sampling], strict=False):
            memory = ClusterMemory(features, config.momentum, update, config.consistency_temperature)
            memory.load_state_dict({"features": features})  # Bit for bit: the constructor scales to unit length again.
            self.memories.append(memory.to(self.encoder.device))
