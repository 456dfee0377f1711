"""The labeller: a second encoder that learns from photos alone, and by whose features they are clustered.

Pseudo labels want clothes, which tell people apart before anything else is learnt, while the learner's features are to
forget them: one encoder for both makes its own labels worse the better it learns. The labeller is a Cluster Contrast
(Dai et al. 2021) beside it, on the same labels and on the photos of the same batches.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from trainer import distributed
from trainer.config import Config
from trainer.encoder import Encoder
from trainer.memory import ClusterMemory


class Labeller:
    """An encoder of photos with its optimiser and its memory.

    Args:
        encoder: what it starts from.
        config: its rates and temperature are the learner's.
        learner: `encoder` as a step calls it, which several processes wrap.
    """

    def __init__(self, encoder: Encoder, config: Config, learner: nn.Module) -> None:
        self.encoder, self.config, self._learner = encoder, config, learner
        self.optimiser = torch.optim.Adam(
            encoder.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True
        )
        self.memory: ClusterMemory | None = None

    def begin_epoch(self, initial: Tensor) -> None:
        """Take the vectors (C, d) that the clusters' memory starts from."""
        self.memory = ClusterMemory(initial, self.config.momentum, "instance").to(self.encoder.device)

    def step(self, photos: Tensor, labels: Tensor, rate: float) -> Tensor:
        """Contrast photos with the memory, and move it to them.

        Args:
            photos: the network's input, (n, 3, H, W).
            labels: of their clusters, int64 (n,).
            rate: of learning.

        Returns:
            The contrast (eq. 8), a scalar without a gradient.
        """
        if self.memory is None:
            raise RuntimeError("begin_epoch() comes first")
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self._learner.train()
        features = self._learner(photos).features
        loss = self.memory.loss(features, labels, self.config.temperature)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.memory.step(distributed.gather(features.detach()), distributed.gather(labels))
        return loss.detach()

    def content(self) -> dict[str, Any]:
        """Give tensors and plain values, for torch.save."""
        memory = self.memory.features if self.memory else None
        return {"encoder": self.encoder.state_dict(), "optimiser": self.optimiser.state_dict(), "memory": memory}

    def restore(self, content: dict[str, Any]) -> None:
        """Take over what content() gave."""
        self.encoder.load_state_dict(content["encoder"])
        self.optimiser.load_state_dict(content["optimiser"])
        if content["memory"] is not None:
            self.memory = ClusterMemory(content["memory"], self.config.momentum, "instance")
            # Bit for bit: the constructor scales to unit length again.
            self.memory.load_state_dict({"features": content["memory"]})
            self.memory.to(self.encoder.device)
