"""A batch: what a generator is shown, and what it shall paint."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional


@dataclass(frozen=True)
class Batch:
    """What the generator learns from: `source` is to become `target`, in the clothes that `template` shows.

    Images float32 (B, 3, H, W) in [-1, 1], parsings (B, 8, H, W) one-hot, pose (B, 18, H, W).
    """

    source: torch.Tensor
    source_parsing: torch.Tensor
    pose: torch.Tensor
    template: torch.Tensor
    template_parsing: torch.Tensor
    target: torch.Tensor
    target_parsing: torch.Tensor

    def halve(self) -> Batch:
        """Make the same batch at half the size: pictures and maps averaged, parsings thinned out."""
        pictures = (self.source, self.pose, self.template, self.target)
        source, pose, template, target = (functional.avg_pool2d(picture, 2) for picture in pictures)
        parsings = (self.source_parsing, self.template_parsing, self.target_parsing)
        source_parsing, template_parsing, target_parsing = (parsing[..., ::2, ::2] for parsing in parsings)
        return Batch(source, source_parsing, pose, template, template_parsing, target, target_parsing)

    def to(self, device: torch.device) -> Batch:
        """Bring the batch to a device."""
        return Batch(*(tensor.to(device) for tensor in vars(self).values()))
