"""The benchmark of clustering: each way runs in a process of its own, and ours finds the dense way's clusters."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from tests.bench.clustering import main


@pytest.mark.slow
def test_every_way_is_measured() -> None:
    small = ["--photos", "600", "--dimensions", "32", "--repeats", "1", "--threads", "1"]
    result = CliRunner().invoke(main, [*small, "--way", "ours", "--way", "dense"])
    assert result.exit_code == 0, result.output
    heading, header, *rows = result.output.splitlines()
    assert heading.startswith("N = 600, d = 32, k1 = 30, k2 = 6, eps = 0.4, 1 threads")
    assert [row.split()[0] for row in rows if row] == ["ours", "dense"]
    dense = next(row for row in rows if row.startswith("dense"))
    assert dense[: len(header)].split()[-1] == "1.0000"
