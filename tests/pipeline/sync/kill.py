"""A sync of the current folder's walkers that is killed again and again, for test_kills.py.

    python -m tests.pipeline.sync.kill KILLS

Each sync is a process of its own, forked before it has done anything; `kill -9` reaches it at a moment of its work, or
at a random time. Prints a line for each kill, waits for one on its input while others look at what is left, and checks
nothing.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from data.runtime import files
from data.shards import ShardWriter
from data.shards.seal import Seal
from pipeline.__main__ import main
from pipeline.paint import RecolourPainter
from pipeline.sync import plan, run, worker

COMMAND = ("sync", "--dataset", "walkers", "--painter", "recolour", "--device", "cpu", "--jobs", "1")
BEFORE, AFTER = False, True
# Of what is called in a sync: the shards' parts, and each rename (of photos, palette, shards and manifests) in turn.
MOMENTS: dict[str, tuple[Any, str, bool]] = {
    "reading": (worker, "digest_file", AFTER),
    "painting": (RecolourPainter, "paint", BEFORE),
    "writing": (ShardWriter, "add", AFTER),
    "written": (ShardWriter, "finish", AFTER),
    "flushing": (files, "_flush", BEFORE),
    "before the rename": (Path, "replace", BEFORE),
    "after the rename": (Path, "replace", AFTER),
    "sealing": (Seal, "of", BEFORE),
}
LAST = (run, "write_manifest", BEFORE)
LONGEST = 1.5
"""Seconds in which a sync is killed at a random time."""


def kill_at(owner: Any, name: str, after: bool, count: int) -> None:
    """Let this process be killed before or after the call of this number."""
    original: Callable[..., Any] = getattr(owner, name)
    calls = 0

    def call(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == count and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*arguments, **options)
        if calls == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, staticmethod(call) if owner is Seal else call)


def sync(moment: tuple[Any, str, bool] | None, count: int) -> int:
    """Begin a sync in a process of its own; give its number."""
    process = os.fork()
    if process:
        return process
    if moment:
        kill_at(*moment, count)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    main(COMMAND)
    raise AssertionError("a command ends its process")


def kills(wanted: int) -> None:
    """Kill so many syncs in a row, the last one as it is about to say that it has finished."""
    drawn = random.Random(0)
    done = 0
    while done < wanted:
        name, moment = drawn.choice([*MOMENTS.items(), *[("at a random time", None)] * 4])
        if done == wanted - 1:
            name, moment = "last manifest", LAST
        count = drawn.randint(1, 3)
        process = sync(moment, 1 if moment is LAST else count)
        if moment is None:
            time.sleep(drawn.uniform(0, LONGEST))
            os.kill(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            done += 1
            print(f"killed: {name} {count}", flush=True)
            sys.stdin.readline()
        else:  # It came to its end before: others have something to do again.
            print(f"not killed: {name} {count}", flush=True)
            for shard in drawn.sample(sorted(Path("work/sync").rglob("shard-*.h5")), 6):
                shard.unlink()


if __name__ == "__main__":
    plan.SHARD = 1
    kills(int(sys.argv[1]))
