"""Freed memory is kept: asking for it again costs no page faults."""

from __future__ import annotations

import subprocess
import sys

import pytest

ROUNDS = """
import resource, sys
import torch
from data.allocator import keep_freed_memory

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


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_memory_asked_for_again_is_not_fetched_anew() -> None:
    assert faults("keep") < faults("let go") / 100
