"""The bench of redrawing: the ways it times paint the same pictures."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from tests.bench.sync import main

SMALL = ["--photos", "2", "--templates", "2", "--channels", "4", "--size", "128", "64", "--rounds", "1"]


def test_both_ways_paint_the_same_pictures(tmp_path: Path) -> None:
    output = tmp_path / "folder" / "painting.json"
    result = CliRunner().invoke(main, [*SMALL, "--output", str(output)])
    assert result.exit_code == 0, result.output
    measured = json.loads(output.read_text())
    assert (measured["width"], measured["size"], measured["device"]) == (4, [128, 64], "cpu")
    published, ours, half = measured["ways"]
    assert ours["way"] in result.output
    assert published["faster"] == 1
    assert 0 < ours["largest_difference"] < 1e-4
    assert half["psnr"] > 40
    assert min(way["seconds"] for way in (published, ours, half)) > 0


def test_sizes_that_do_not_fit_are_refused() -> None:
    result = CliRunner().invoke(main, ["--size", "100", "64"])
    assert result.exit_code == 2
    assert "multiples of 16" in result.output
