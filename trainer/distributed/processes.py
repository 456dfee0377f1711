"""Processes that train together; without a process group every helper answers as the one process there is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


def rank() -> int:
    """Give this process's number, 0 for the one that writes."""
    return dist.get_rank() if _grouped() else 0


def world_size() -> int:
    """Say how many processes train together."""
    return dist.get_world_size() if _grouped() else 1


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Join the process group that torchrun's environment describes, for the time of the block; without one do nothing.

    NCCL on a GPU, gloo on a CPU.
    """
    if "RANK" not in os.environ:
        yield
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def gather(tensor: Tensor) -> Tensor:
    """Give every process all tensors (n, ...), of equal shapes, joined in the order of ranks."""
    if world_size() == 1:
        return tensor
    parts = [torch.empty_like(tensor) for _ in range(world_size())]
    dist.all_gather(parts, tensor.contiguous())
    return torch.cat(parts)


def from_first(value: Any) -> Any:
    """Give every process the value that rank 0 passes."""
    if world_size() == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def mean(tensor: Tensor) -> Tensor:
    """Give every process the mean of all their tensors."""
    if world_size() == 1:
        return tensor
    total = tensor.clone()
    dist.all_reduce(total)
    return total / world_size()


def share_buffers(module: nn.Module) -> None:
    """Give every process rank 0's buffers: the running statistics of batch norms, which each keeps for itself."""
    if world_size() > 1:
        for buffer in module.buffers():
            dist.broadcast(buffer, src=0)


def any_rank(flag: bool, device: torch.device) -> bool:
    """Say whether the flag is set on any process."""
    if world_size() == 1:
        return flag
    box = torch.tensor(float(flag), device=device)
    dist.all_reduce(box, dist.ReduceOp.MAX)
    return bool(box.item())


def _grouped() -> bool:
    return dist.is_available() and dist.is_initialized()
