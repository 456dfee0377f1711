"""The bench of scale: each step of a sync is measured on as many photos as were laid out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.bench.fresh import in_fresh_process
from tests.bench.scale import main


def test_a_fresh_process_grows_by_what_its_work_holds() -> None:
    taken = in_fresh_process(np.ones, 4_000_000)
    assert taken.result.shape == (4_000_000,)
    assert 32e6 <= taken.memory < 200e6
    with pytest.raises(ValueError, match="negative"):
        in_fresh_process(np.ones, -1)


@pytest.mark.slow
def test_every_step_is_measured(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["--photos", "1100", "--folder", str(tmp_path)])
    assert done.exit_code == 0, done.output
    rows = [line for line in done.output.splitlines() if line.startswith("1,100  ")]
    steps = "list, list and plan, write shards, sync again, status, verify, compare photos, open the store"
    for step in steps.split(", "):
        assert any(f"  {step}  " in row for row in rows), step
    assert not list(tmp_path.iterdir())
