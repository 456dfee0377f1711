"""A piece of work in a process of its own: what it gives, the seconds it takes, and the memory."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Measured:
    """What a piece of work gave, its seconds, and by how many bytes its process grew at most.

    `cpu` is the seconds of the processor, those of processes that it started among them, which other programs on the
    machine hardly change.
    """

    result: Any
    seconds: float
    cpu: float
    memory: int


def in_fresh_process(work: Callable[..., Any], *arguments: Any) -> Measured:
    """Do `work` in a new process, so that no other work's memory or caches count.

    Args:
        work: a function that can be pickled; its module is loaded before the clock starts.
        arguments: what it is called with.

    Raises:
        RuntimeError: the process died.
    """
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(sending, work, arguments))
    process.start()
    sending.close()
    try:
        measured = receiving.recv()
    except EOFError:
        raise RuntimeError(f"the process that measured {work.__name__} died") from None
    finally:
        process.join()
    if isinstance(measured, BaseException):
        raise measured
    return Measured(*measured)


def resident(field: str = "VmRSS") -> int:
    """Say how many bytes this process holds now, or, with "VmHWM", has held at most."""
    return _kilobytes("/proc/self/status", field) * 1024


@dataclass(frozen=True)
class Usage:
    """What a process uses: seconds of the processor so far, bytes that are its own, files open below a folder."""

    cpu: float
    memory: int
    files: int


def usage(process: int, folder: Path) -> Usage:
    """Look at a process that runs; `folder` is where the files lie that are counted."""
    place = Path("/proc", str(process))
    spent = place.joinpath("stat").read_text().rpartition(")")[2].split()[11:13]
    own = sum(_kilobytes(str(place / "smaps_rollup"), field) for field in ("Private_Clean", "Private_Dirty"))
    opened = [os.path.realpath(link) for link in place.joinpath("fd").iterdir()]
    files = sum(name.startswith(f"{folder.resolve()}/") for name in opened)
    return Usage(sum(map(int, spent)) / os.sysconf("SC_CLK_TCK"), own * 1024, files)


def _kilobytes(file: str, field: str) -> int:
    return next(int(line.split()[1]) for line in Path(file).read_text().splitlines() if line.startswith(f"{field}:"))


def _measure(sending: Connection, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    before, began, spent = resident(), time.perf_counter(), sum(os.times()[:4])
    try:
        result = work(*arguments)
        seconds, cpu = time.perf_counter() - began, sum(os.times()[:4]) - spent
        sending.send((result, seconds, cpu, max(0, resident("VmHWM") - before)))
    except BaseException as error:
        sending.send(error)
