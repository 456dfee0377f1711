"""Freed memory is kept: asking for it again costs no page faults."""

from __future__ import annotations

import subprocess
import sys

import pytest

ROUNDS = """
import resource, sys
import torch
from data.runtime.allocator import keep_freed_memory

if sys.argv[1] == "keep":
    keep_freed_memory()

def work():
    for _ in range(20):
        torch.ones(16 << 20)

work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    """Page faults of asking 20 times for 64 MiB that were freed before."""
    done = subprocess.run([sys.executable, "-c", ROUNDS, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


GIVEN_BACK = """
from pathlib import Path
import torch
from data.runtime.allocator import give_freed_memory_back, keep_freed_memory

def resident():
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) // 1024

keep_freed_memory()
before = resident()
blocks = [torch.ones(16 << 20) for _ in range(8)]
del blocks
kept = resident()
give_freed_memory_back()
print(kept - before, resident() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_what_is_kept_can_be_given_back() -> None:
    """Of 512 MiB that were freed; otherwise the system would seem to have too little left for clustering."""
    done = subprocess.run([sys.executable, "-c", GIVEN_BACK], capture_output=True, text=True, check=True)
    kept, left = map(int, done.stdout.split())
    assert kept > 400
    assert left < 100


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_memory_asked_for_again_is_not_fetched_anew() -> None:
    assert faults("keep") < faults("let go") / 100
