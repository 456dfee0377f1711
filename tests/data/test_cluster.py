from __future__ import annotations

import itertools
import json
import os
import signal
import time
from pathlib import Path

import pytest

from data.cluster import completed, connected
from data.runtime.errors import InputError, RunError
from tests.data.clusters import cluster_of


def square(number: int) -> int:
    return number * number


def take_time(_: int) -> tuple[int, float, float]:
    """Who did it, and from when to when."""
    began = time.monotonic()
    time.sleep(0.2)
    return os.getpid(), began, time.monotonic()


def die(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def wait(_: int) -> None:
    time.sleep(60)


@pytest.mark.slow
def test_a_cluster_is_found_by_its_file_or_its_address(tmp_path: Path) -> None:
    with cluster_of(tmp_path, ["--nthreads", "1"]) as cluster:
        address = json.loads(cluster.file.read_text())["address"]
        for name in (str(cluster.file), address, address.removeprefix("tcp://")):
            with connected(name) as client:
                assert sorted(completed(client, square, range(5))) == [0, 1, 4, 9, 16]
        with connected(str(cluster.file)) as client:
            assert len(set(completed(client, square, range(300)))) == 300


@pytest.mark.slow
def test_a_worker_with_a_gpu_does_one_thing_at_a_time_and_no_other_worker_any(tmp_path: Path) -> None:
    workers = ["--nthreads", "3", "--resources", "GPU=1"], ["--nthreads", "3"]
    with cluster_of(tmp_path, *workers) as cluster, connected(str(cluster.file)) as client:
        client.wait_for_workers(2)
        done = sorted(completed(client, take_time, range(8), on_gpu=True), key=lambda each: each[1])
        assert {process for process, _, _ in done} == {cluster.workers[0].pid}
        assert all(ended <= began for (_, _, ended), (_, began, _) in itertools.pairwise(done))
        anywhere = {process for process, _, _ in completed(client, take_time, range(8))}
        assert anywhere == {worker.pid for worker in cluster.workers}


@pytest.mark.slow
def test_work_over_which_workers_die_is_given_up(tmp_path: Path) -> None:
    with cluster_of(tmp_path, *[["--nthreads", "1"]] * 4) as cluster, connected(str(cluster.file)) as client:
        client.wait_for_workers(4)
        with pytest.raises(RunError, match="workers of the cluster died 4 times over the same work"):
            list(completed(client, die, [0]))


@pytest.mark.slow
def test_a_scheduler_that_is_gone_is_one_line(tmp_path: Path) -> None:
    with cluster_of(tmp_path, ["--nthreads", "1"]) as cluster, connected(str(cluster.file)) as client:
        outcomes = completed(client, take_time, range(100))
        next(outcomes)
        cluster.scheduler.kill()
        with pytest.raises(RunError, match="the cluster's scheduler is gone: start it anew"):
            list(outcomes)


@pytest.mark.slow
def test_a_cluster_without_this_program_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "known_here_only.py").write_text("def work(item):\n    return item\n")
    from importlib import import_module

    work = import_module("known_here_only").work
    said = r"the cluster cannot load this program \(No module named 'known_here_only'\): install it"
    with (
        cluster_of(tmp_path, ["--nthreads", "1"]) as cluster,
        connected(str(cluster.file)) as client,
        pytest.raises(InputError, match=said),
    ):
        list(completed(client, work, [1]))


def test_a_file_that_is_none_of_a_schedulers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data.cluster._PATIENCE", 0.2)
    file = tmp_path / "s.json"
    for text in (None, "", "[]", "{}", "{"):
        if text is not None:
            file.write_text(text)
        with (
            pytest.raises(InputError, match=r"s\.json: is no scheduler's file \(.*\): give that"),
            connected(str(file)),
        ):
            pass
