from __future__ import annotations

import re

from click.testing import CliRunner

from tests.bench.ranking import main


def test_the_benchmark_runs_and_finds_both_ways_equal() -> None:
    small = ["--queries", "40", "--gallery", "6000", "--dimension", "8", "--sample", "20", "--repeats", "1"]
    result = CliRunner().invoke(main, small)
    assert result.exit_code == 0, result.output
    assert re.search(r"^ratio +\d+\.\d+x", result.output, re.MULTILINE)
    assert "peak memory grew by" in result.output
