"""The benchmark of training: it times what it says, and reads what the generator takes from bench-sync's file."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from tests.bench.train import main


def test_every_part_is_told_beside_what_it_is_compared_with(tmp_path: Path) -> None:
    measured = tmp_path / "generator.json"
    ways = [{"way": "published way, float32", "seconds": 10.0}]
    measured.write_text(json.dumps({"width": 16, "size": [128, 64], "device": "cpu", "threads": 1, "ways": ways}))
    done = CliRunner().invoke(main, ["--photos", "64", "--steps", "1", "--generator", str(measured)])
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    for start in (
        "  groups read and augmented",
        "  ours, reading and augmenting included",
        "  Cluster Contrast's, plain, float32",
        "  ours does ",
        "  exchanging backgrounds adds",
        "peak memory",
    ):
        assert any(line.startswith(start) for line in lines), start
    assert "of width 16 at 128x64" in done.output
    [told] = [line for line in lines if line.startswith("  published way, float32")]
    assert "1,280,000 ms more" in told  # the 4 versions of 32 photos, 10 seconds each
