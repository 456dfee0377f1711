"""The command line of a sync, on the miniature walkers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pipeline.__main__ import main

Sync = Callable[..., Result]


@pytest.fixture
def command(walkers: Path, random_weights: Path, monkeypatch: pytest.MonkeyPatch) -> Sync:
    """`python -m pipeline sync` on the miniature walkers, in shards of 8 photos."""
    monkeypatch.setattr("pipeline.sync.plan.SHARD", 8)

    def call(*options: str, name: str = "sync") -> Result:
        standard = ("--dataset", "walkers", "--weights", str(random_weights), "--device", "cpu")
        jobs = ("--jobs", "1") if name == "sync" and "--jobs" not in options else ()
        return CliRunner().invoke(main, [name, *standard, *jobs, *options])

    return call
