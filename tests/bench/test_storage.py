"""The bench of storage: every codec is measured, and a recoded store can be read as any other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from data.shards import SyncStore
from tests.bench.reading import lay_out
from tests.bench.storage import codecs, main


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SyncStore:
    return lay_out(tmp_path_factory.mktemp("store"), 12, 2, (16, 8))


def test_codecs_without_loss_are_exact_and_jpegs_tell_theirs(store: SyncStore) -> None:
    few = ["--photos", "6", "--reads", "5", "--readers", "1"]
    done = CliRunner().invoke(main, ["table", str(store.path), *few])
    assert done.exit_code == 0, done.output
    assert "6 photos, groups of 3 x 16 x 8 x 3" in done.output
    rows = done.output.splitlines()
    fidelity = {name: next(row for row in rows if row.startswith(name)).split()[-1] for name in codecs()}
    assert fidelity.pop("JPEG 95") == fidelity.pop("JPEG 90") == "dB"
    assert set(fidelity.values()) == {"exact"}


@pytest.mark.parametrize("codec", ["WebP, lossless", "JPEG 90"])
def test_a_recoded_store_holds_what_the_codec_left_of_the_pictures(
    store: SyncStore, tmp_path: Path, codec: str
) -> None:
    done = CliRunner().invoke(main, ["recode", codec, str(tmp_path / "recoded"), "--store", str(store.path)])
    assert done.exit_code == 0, done.output
    recoded, rows = SyncStore(tmp_path / "recoded"), range(len(store))
    assert [recoded.source(row) for row in rows] == [store.source(row) for row in rows]
    np.testing.assert_array_equal(recoded.masks(rows), store.masks(rows))
    change = np.abs(recoded.groups(rows).astype(int) - store.groups(rows))
    assert (change.max() == 0) == (codec == "WebP, lossless")
