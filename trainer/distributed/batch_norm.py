"""Batch norm over the images of all processes, on any device: torch's own SyncBatchNorm computes on a GPU alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce

from data.runtime.errors import InputError
from trainer.distributed import processes as distributed


class SyncedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm of (B, C) or (B, C, H, W) whose training statistics are those of every process's batch together."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise in float32; in evaluation mode, or in one process alone, as nn.BatchNorm does."""
        if not self.training or distributed.world_size() == 1:
            return super().forward(x)
        with torch.autocast(x.device.type, enabled=False):
            values = x.float()
            over = [dim for dim in range(x.ndim) if dim != 1]
            shape = [-1 if dim == 1 else 1 for dim in range(x.ndim)]
            count = distributed.world_size() * x.numel() // x.shape[1]
            mean = all_reduce(values.sum(over)) / count
            centred = values - mean.view(shape)
            variance = all_reduce((centred * centred).sum(over)) / count
            self._track(mean, variance, count)
            y = centred * torch.rsqrt(variance + self.eps).view(shape)
            return (y * self.weight.view(shape) + self.bias.view(shape)).to(x.dtype)

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Move the running statistics as nn.BatchNorm does, with the unbiased variance."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance * (count / (count - 1)), share)

    def _check_input_dim(self, x: Tensor) -> None:
        if x.ndim < 2:
            raise ValueError(f"batch norm needs (B, C, ...), got {tuple(x.shape)}")


def synchronised(module: nn.Module, device: torch.device) -> nn.Module:
    """Replace, in place, every batch norm by one over all processes' images; torch's own on a GPU, where it is faster.

    Raises InputError for a kind of batch norm that does more than normalise (some of timm's).
    """
    for name, child in list(module.named_children()):
        if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d) and type(child) in (nn.BatchNorm1d, nn.BatchNorm2d):
            norm = nn.SyncBatchNorm if device.type == "cuda" else SyncedBatchNorm
            synced = norm(child.num_features, child.eps, child.momentum).to(device)
            synced.load_state_dict(child.state_dict())
            synced.bias.requires_grad_(child.bias.requires_grad)
            setattr(module, name, synced)
        elif isinstance(child, nn.modules.batchnorm._BatchNorm):
            raise InputError(f"sync_bn does not know {type(child).__name__}: train this backbone without sync_bn")
        else:
            synchronised(child, device)
    return module
