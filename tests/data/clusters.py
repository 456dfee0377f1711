"""A real Dask cluster on this machine, started from the shell as its users do."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Cluster:
    """The file of a scheduler, its process, and those of its workers."""

    file: Path
    scheduler: subprocess.Popen[bytes]
    workers: tuple[subprocess.Popen[bytes], ...]


@contextmanager
def cluster_of(folder: Path, *workers: Sequence[str]) -> Iterator[Cluster]:
    """Start a scheduler and a worker for each sequence of options, each in a folder of its own; end them all."""
    file = folder / "scheduler.json"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}

    def start(name: str, *words: str) -> subprocess.Popen[bytes]:
        (folder / name).mkdir(parents=True)
        command = [sys.executable, "-m", "dask", *words, "--scheduler-file", str(file)]
        with (folder / name / "log.txt").open("wb") as log:
            return subprocess.Popen(command, cwd=folder / name, env=environment, stdout=log, stderr=log)

    processes = [start("scheduler", "scheduler", "--port", "0", "--dashboard-address", ":0")]
    for number, options in enumerate(workers):
        processes.append(start(f"worker {number}", "worker", "--no-nanny", "--no-dashboard", *options))
    try:
        while not file.is_file() or not file.read_text():
            assert processes[0].poll() is None
            time.sleep(0.05)
        yield Cluster(file, processes[0], tuple(processes[1:]))
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()
