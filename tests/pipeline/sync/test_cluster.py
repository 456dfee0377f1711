"""Syncs on real Dask clusters, whose workers have folders of their own, die, come and go; and the docs' recipes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from distributed import LocalCluster

from data.shards import SyncStore, newest_store
from pipeline.__main__ import main
from tests.data.clusters import ROOT, cluster_of

# The real command line, in shards of 2 photos.
PROGRAM = "from pipeline.sync import plan; plan.SHARD = 2; from pipeline.__main__ import main; main()"
SYNC = ("sync", "--dataset", "walkers", "--painter", "recolour", "--device", "cpu")


@pytest.fixture(autouse=True)
def small_shards(walkers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine shards of the miniature walkers, below the current folder."""
    monkeypatch.setattr("pipeline.sync.plan.SHARD", 2)


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **more}


def contents() -> dict[str, bytes]:
    """The bytes of all shards, and of whatever else lies there half written."""
    return {path.name: path.read_bytes() for path in Path("work/sync").rglob("*shard-*")}


def uninterrupted() -> dict[str, bytes]:
    """What a sync in this process alone gives, in place of what is there."""
    for path in newest_store(Path("work/sync")).iterdir():
        path.unlink()
    assert "(9 of 9 shards made now)" in CliRunner().invoke(main, [*SYNC, "--jobs", "1"]).output
    return contents()


def pictures() -> np.ndarray:
    return SyncStore(newest_store(Path("work/sync"))).groups(range(18)).astype(int)


def await_(condition: Callable[[], object], process: subprocess.Popen[str] | None = None) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.01)


@pytest.mark.slow
def test_one_of_two_workers_is_killed_in_the_middle_and_the_shards_are_the_same(tmp_path: Path) -> None:
    with cluster_of(tmp_path / "cluster", ["--nthreads", "1"], ["--nthreads", "1"]) as cluster:
        command = [sys.executable, "-c", PROGRAM, *SYNC, "--cluster", str(cluster.file)]
        with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True) as sync:
            halves = f".shard-*-{cluster.workers[0].pid}-*.part"
            await_(lambda: list(Path("work/sync").rglob(halves)), sync)
            cluster.workers[0].kill()
            said, _ = sync.communicate()
    assert sync.returncode == 0
    assert re.search(r"cluster tcp://\S+: [012] workers with [012] cores; dashboard: http://\S+/status", said)
    assert "(9 of 9 shards made now)" in said
    made = contents()
    assert len(made) == 9
    assert made == uninterrupted()


@pytest.mark.slow
def test_a_cluster_grows_with_the_work_and_shrinks_after_it() -> None:
    with LocalCluster(n_workers=0, threads_per_worker=1, dashboard_address=None) as cluster:
        adaptive = cluster.adapt(minimum=0, maximum=2, interval="100ms", target_duration="50ms", wait_count=3)
        result = CliRunner().invoke(main, [*SYNC, "--cluster", cluster.scheduler_address])
        assert "the cluster has no worker yet: waiting for the first one" in result.output
        assert "(9 of 9 shards made now)" in result.output
        await_(lambda: not cluster.scheduler.workers)
        steps = [step for _, step in adaptive.log]
    assert {"status": "up", "n": 2} in steps
    assert steps[-1]["status"] == "down"
    assert contents() == uninterrupted()


def test_an_address_without_a_scheduler() -> None:
    result = CliRunner().invoke(main, [*SYNC, "--cluster", "nonsense://nowhere"])
    assert result.exit_code == 2
    assert "error: CLUSTER=nonsense://nowhere: no Dask scheduler answers there" in result.output


def assert_nearly_uninterrupted() -> None:
    """Four threads add numbers up in another order than one, which may turn one grey level into the next."""
    made = pictures()
    assert len(contents()) == 9
    uninterrupted()
    assert np.abs(made - pictures()).max() <= 1


MAKE = """
for word; do case $word in CLUSTER=*) cluster=${word#CLUSTER=};; esac; done
exec "$PYTHON" -c "$PROGRAM" $SYNC --cluster "$cluster"
"""
SSH = 'echo "$1" >> ssh.txt; shift; cd /; exec sh -c "$*"'
SBATCH = """
cp "$1" "$HERE/job-$$.sh"
cd /
setsid bash "$HERE/job-$$.sh" > "$HERE/job-$$.txt" 2>&1 &
echo "Submitted batch job $!"
"""
SCANCEL = 'echo "$1" >> "$HERE/cancelled.txt"; kill -- -"$1"'


def recipe(language: str) -> str:
    """The one block of this language on the page, with the current folder as the project's."""
    [block] = re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs/clusters.md").read_text("utf-8"), re.DOTALL)
    return str(block).replace("/shared/project", str(Path.cwd()))


@pytest.fixture
def stand_ins(tmp_path: Path) -> dict[str, str]:
    """An environment in which `ssh` and `sbatch` run what they are given here, elsewhere on the disk."""
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "bin").mkdir()
    for name, text in (("make", MAKE), ("ssh", SSH), ("sbatch", SBATCH), ("scancel", SCANCEL)):
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{text}")
        (tmp_path / "bin" / name).chmod(0o755)
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    return environment(PATH=path, HERE=str(tmp_path), PYTHON=sys.executable, PROGRAM=PROGRAM, SYNC=" ".join(SYNC))


@pytest.mark.slow
def test_the_recipe_for_ssh(stand_ins: dict[str, str]) -> None:
    done = subprocess.run(
        ["bash", "-c", recipe("bash") + "wait"], env=stand_ins, capture_output=True, text=True, check=False, timeout=300
    )
    assert "(9 of 9 shards made now)" in done.stdout, done.stderr
    assert sorted(Path("ssh.txt").read_text().split()) == ["node1", "node2"]
    assert_nearly_uninterrupted()


@pytest.mark.slow
def test_the_recipe_for_slurm(stand_ins: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", recipe("py")], env=stand_ins, capture_output=True, text=True, check=False, timeout=300
    )
    assert (done.returncode, "(9 of 9 shards made now)" in done.stdout) == (0, True), done.stderr
    jobs = list(Path().glob("job-*.sh"))
    assert 1 <= len(jobs) <= 16
    assert "#SBATCH --cpus-per-task=4" in jobs[0].read_text()
    assert_nearly_uninterrupted()
