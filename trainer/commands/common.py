"""What the commands share: options, and the run, device and reading processes that are meant by them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import torch

    from trainer.runs import Run

_GPU_READERS = 4
"""Processes that read ahead for a GPU: fewer let it wait for data, more do not help it."""


def device_option(command: Any) -> Any:
    """Give a command --device."""
    text = "cpu, cuda or cuda:N; by default a GPU if there is one"
    return click.option("--device", default="", help=text)(command)


def run_option(command: Any) -> Any:
    """Give a command --run."""
    return click.option("--run", "name", default=None, help="name of the run; by default the last one")(command)


def checkpoint_option(command: Any) -> Any:
    """Give a command --checkpoint."""
    kinds = click.Choice(["last", "best"])
    return click.option("--checkpoint", type=kinds, default="last", help="which encoder of the run")(command)


def workers_option(command: Any) -> Any:
    """Give a command --workers."""
    text = f"processes that read ahead; by default {_GPU_READERS} for a GPU and none for a CPU"
    return click.option("--workers", type=click.IntRange(0), default=None, help=text)(command)


def find_run(name: str | None) -> Run:
    """Find the run of this name, or the last one."""
    from trainer import runs

    return runs.find_run(name) if name else runs.last_run()


def find_device(name: str) -> torch.device:
    """Choose the device; of torchrun's processes each gets its own GPU."""
    import os

    import torch

    from data.runtime.devices import choose_device

    device = torch.device(choose_device(name, torch.cuda.device_count(), int(os.environ.get("LOCAL_RANK", 0))))
    if device.type == "cuda":
        torch.cuda.set_device(device)
    return device


def count_workers(given: int | None, device: torch.device) -> int:
    """Give the number of reading processes: what was asked for, else what suits the device; 0 where none can start."""
    from data.runtime.processes import processes_work

    workers = given if given is not None else _GPU_READERS if device.type == "cuda" else 0
    return workers if workers == 0 or processes_work() else 0
