"""The bench of plain photos: it redraws them, and its shares are those of one whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from data.walkers.plain import write_plain
from tests.bench.photos import main, measure


def test_the_shares_are_of_one_whole_and_the_photos_are_redrawn(tmp_path: Path) -> None:
    write_plain(tmp_path / "photos" / "others", seed=1)
    write_plain(tmp_path / "photos" / "timed")
    (tmp_path / "store").mkdir()
    timing = measure("recolour", tmp_path / "photos", tmp_path / "store")
    assert sum(timing.shares.values()) == pytest.approx(1)
    assert min(timing.shares.values()) > 0
    assert timing.work == pytest.approx(timing.busy / timing.rate)
    assert (tmp_path / "store" / "shard-00000.h5").is_file()


def test_painters_that_are_not_there_are_refused() -> None:
    result = CliRunner().invoke(main, ["--painter", "ideal"])
    assert result.exit_code == 2
