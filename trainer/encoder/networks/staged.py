"""A backbone of which the maps after each stage can be had, as mutual learning between layers needs them."""

from __future__ import annotations

from torch import Tensor, nn


class Staged(nn.Module):
    """Stages, then means over the picture, (B, C): the backbone as it is."""

    def __init__(self, stages: list[nn.Sequential]) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)

    def forward(self, images: Tensor) -> Tensor:
        """Give vectors (B, C)."""
        return self.maps(images)[-1].mean(dim=(2, 3))

    def maps(self, images: Tensor) -> list[Tensor]:
        """Give the maps after each stage, the last one last."""
        found = [images]
        for stage in self.stages:
            found.append(stage(found[-1]))
        return found[1:]
