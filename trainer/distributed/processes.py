"""Processes that train together; without a process group every helper answers as the one process there is."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import Store
from torch.distributed.rendezvous import rendezvous

from data.runtime.errors import InputError, RunError

Result = TypeVar("Result")

_POLL = 0.05
"""Seconds between two looks of a waiting process."""

_LAST_WORDS = 5.0
"""Seconds that a failing rank 0 stays for the others to hear of it; they look every _POLL seconds."""

_FAULT = "fault"
"""The note of the process that failed first: its rank and its exit status."""

_store: Store | None = None
"""Where processes that train together leave each other notes; like torch's group of them, one for each process."""


def rank() -> int:
    """Give this process's number, 0 for the one that writes."""
    return dist.get_rank() if _grouped() else 0


def world_size() -> int:
    """Say how many processes train together."""
    return dist.get_world_size() if _grouped() else 1


@contextmanager
def one_voice() -> Iterator[None]:
    """Of processes that train together, let the first that fails say why; the others end without a word, as it does."""
    global _store
    if "RANK" not in os.environ or _store is not None:
        yield
        return
    try:
        _store = next(rendezvous("env://"))[0]
        yield
    except click.exceptions.Exit:
        raise  # The help was asked for, which is no fault.
    except (Exception, KeyboardInterrupt) as fault:
        speaks, status = _speaks(fault), _status()
        _leave()
        if not speaks:
            raise SystemExit(status) from fault
        raise
    finally:
        _store = None


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Join the process group that torchrun's environment describes, for the time of the block; without one do nothing.

    NCCL on a GPU, gloo on a CPU. Where the block fails, `one_voice` decides who says so.
    """
    if "RANK" not in os.environ:
        yield
        return
    with one_voice():
        rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        backend = "nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, store=_store, rank=rank, world_size=size)
        try:
            yield
        except (Exception, KeyboardInterrupt) as fault:
            _speaks(fault)  # Before the group is left, which the others take for a fault of theirs.
            raise
        finally:
            dist.destroy_process_group()


def wait_for_first() -> None:
    """Let all other processes wait here for rank 0, as long as it takes: a collective would run into its time limit."""
    if world_size() == 1:
        return
    assert _store is not None
    if rank() == 0:
        _store.add("turns", 1)
        return
    turn = _store.add(f"turns of {rank()}", 1)
    while _store.add("turns", 0) < turn:
        if _store.check([_FAULT]):
            raise RunError("rank 0 has failed, and has said why")
        time.sleep(_POLL)


def on_first(work: Callable[[], Result]) -> Result:
    """Let rank 0 do work that takes long, and give every process what came of it; if it fails, all end."""
    result = work() if rank() == 0 else None
    wait_for_first()
    return from_first(result)


def first_found(value: Any) -> Any:
    """Give every process the value of the lowest rank that has one, None where none has."""
    if world_size() == 1:
        return value
    values: list[Any] = [None] * world_size()
    dist.all_gather_object(values, value)
    return next((found for found in values if found is not None), None)


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


def _speaks(fault: BaseException) -> bool:
    """Say whether this process is the first that fails; one that cannot reach rank 0 any more is not."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # torchrun's, when the first process has left: this one ends anyway.
    status = (
        2 if isinstance(fault, InputError | click.UsageError) else 130 if isinstance(fault, KeyboardInterrupt) else 1
    )
    mine = f"{os.environ['RANK']} {status}"
    try:
        return _store is None or _store.compare_set(_FAULT, "", mine).decode().split()[0] == os.environ["RANK"]
    except RuntimeError:
        return False


def _leave() -> None:
    """Where rank 0 keeps the store, and no agent of torchrun's, let it stay until all others know that it ends."""
    if _store is None or os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        return
    try:
        left, deadline = _store.add("left", 1), time.monotonic() + _LAST_WORDS
        while os.environ["RANK"] == "0" and left < int(os.environ["WORLD_SIZE"]) and time.monotonic() < deadline:
            time.sleep(_POLL)
            left = _store.add("left", 0)
    except RuntimeError:  # It has gone already.
        return


def _status() -> int:
    """Give the exit status of the process that failed first."""
    try:
        return int(_store.get(_FAULT).decode().split()[1]) if _store is not None else 1
    except RuntimeError:
        return 1
