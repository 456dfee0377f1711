"""Twenty `kill -9` in a row, in painting, writing, renaming and at random times: what is there is always whole."""

from __future__ import annotations

import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from click.testing import CliRunner

from data.shards import newest_store, read_manifest
from pipeline.__main__ import main
from tests.pipeline.sync.kill import COMMAND

REPOSITORY = Path(__file__).parents[3]
KILLS = 20


def shards(folder: Path) -> dict[str, str]:
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("shard-*.h5"))}


@pytest.mark.slow
def test_kills_in_a_row_leave_the_shards_of_an_uninterrupted_run(
    walkers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.sync.plan.SHARD", 1)
    assert CliRunner().invoke(main, COMMAND).exit_code == 0
    folder = newest_store(Path("work/sync"))
    whole, manifest, files = shards(folder), read_manifest(folder), sorted(path.name for path in folder.iterdir())
    assert len(whole) == 18
    folder.rename("uninterrupted")
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    program = [sys.executable, "-m", "tests.pipeline.sync.kill", str(KILLS)]
    with subprocess.Popen(
        program, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as killer:
        assert killer.stdin
        assert killer.stdout
        said = []
        for line in killer.stdout:
            said.append(line)
            if line.startswith("killed"):
                there = shards(folder) if folder.exists() else {}
                assert there.items() <= whole.items(), line
                killer.stdin.write("go on\n")
    assert sum(line.startswith("killed") for line in said) == KILLS, said
    result = CliRunner().invoke(main, COMMAND)
    assert result.exit_code == 0, result.output
    assert shards(folder) == whole
    assert sorted(path.name for path in folder.iterdir()) == files
    assert [path.name for path in Path("work/sync").iterdir()] == [folder.name]
    resumed = read_manifest(folder)
    assert [shard.seal.sha256 for shard in resumed.shards if shard.seal] == list(whole.values())
    assert (resumed.photos, resumed.redrawn, resumed.failures) == (manifest.photos, manifest.redrawn, ())
    assert CliRunner().invoke(main, ["verify"]).exit_code == 0
