"""Cells: what counts as finished, where they run, how they end; and a real table, run in three ways."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from data.shards import SyncStore
from trainer import runs
from trainer.config import Config
from trainer.ranking.results import EvaluationProtocol, Result, Score, write_results
from trainer.studies.ablation import fill_table
from trainer.studies.cells import Cell, environments, read_cell, run_cell
from trainer.studies.plan import Ask
from trainer.studies.tables import Row, Table

ROOT = Path(__file__).parents[3]
CPU = torch.device("cpu")


@pytest.fixture
def finished(
    tmp_path: Path, store: SyncStore, tiny: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> tuple[Cell, EvaluationProtocol]:
    """A cell whose run is finished but not ranked with, and the protocol it would be ranked by."""
    monkeypatch.chdir(tmp_path)
    cell = Cell("cell-x", ("train",), ("eval",))
    run = runs.start(Path("work/runs") / cell.name, tiny(), store.path, store.manifest, CPU)
    run.save({"epoch": 2}, 2, 0)
    runs.finish(run)
    protocol = EvaluationProtocol(
        *("walkers", "test", "clothing-change", "multi-shot", 1), root=store.manifest.root, checkpoint="last", epoch=2
    )
    return cell, protocol


def write(cell: Cell, protocols: list[EvaluationProtocol]) -> None:
    found = [Result(p, (Score(p, "R1", float(at), None, 1.0),), 9, 0, 9) for at, p in enumerate(protocols)]
    write_results(cell.run.folder / "results.json", found)


def test_only_the_evaluation_that_was_asked_for_is_taken(finished: tuple[Cell, EvaluationProtocol]) -> None:
    """Rows of a re-ranking, of mirrored photos, of other people, or measured elsewhere before, are not the table's."""
    cell, protocol = finished
    assert read_cell(cell, "test") == ()
    others = [
        replace(protocol, root="/elsewhere"),
        replace(protocol, epoch=1),
        replace(protocol, checkpoint="best"),
        replace(protocol, benchmark="prcc"),
        replace(protocol, flip=True),
        replace(protocol, rerank=True),
        replace(protocol, drawn_by="draws.json"),
        replace(protocol, split="validation"),
    ]
    write(cell, others)
    assert read_cell(cell, "test") == ()
    write(cell, [*others, replace(protocol, encoder="old"), protocol])
    assert [result.protocol for result in read_cell(cell, "test")] == [protocol]
    assert [result.protocol.split for result in read_cell(cell, "validation")] == ["validation"]


def test_a_training_that_stopped_halfway_is_not_finished(finished: tuple[Cell, EvaluationProtocol]) -> None:
    cell, protocol = finished
    write(cell, [protocol])
    assert len(read_cell(cell, "test")) == 1
    cell.run.note(finished=None)
    assert read_cell(cell, "test") == ()


def test_where_cells_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    one = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    assert environments("", 3, gpus=0) == environments("cpu", 3, gpus=2) == [one] * 3
    assert len(environments("", None, gpus=0)) >= 1
    assert environments("", None, gpus=2) == [{"CUDA_VISIBLE_DEVICES": "0"}, {"CUDA_VISIBLE_DEVICES": "1"}]
    assert [each["CUDA_VISIBLE_DEVICES"] for each in environments("cuda", 3, gpus=2)] == ["0", "1", "0"]
    assert environments("cuda:1", None, gpus=2) == [{}]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    assert [each["CUDA_VISIBLE_DEVICES"] for each in environments("", None, gpus=2)] == ["5", "7"]
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert environments("", 1, gpus=0)[0]["OMP_NUM_THREADS"] == "2"


def test_a_cell_that_fails_says_why_in_a_line(tmp_path: Path) -> None:
    cell = Cell("x", ("train", "--sync", "nowhere", "--run", "x"), ("eval", "--run", "x"))
    outcome = run_cell(cell, tmp_path, {})
    assert outcome.failure.startswith("error: ")
    assert "nowhere" in outcome.failure


@pytest.mark.slow
def test_one_after_the_other_side_by_side_and_on_a_cluster_the_numbers_are_the_same(
    tmp_path: Path, make_store: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from dask.distributed import LocalCluster

    store = make_store()
    table = Table("two", "Two", (Row("none", {"sampling": "none"}), Row("both")))
    small = {"epochs": 1, "iterations": 3, "height": 32, "width": 16, "versions": 2, "batch_clusters": 2}
    ask = Ask((0,), settings={**small, "batch_photos": 2, "k1": 6, "k2": 2, "min_samples": 2}, device="cpu")
    monkeypatch.chdir(tmp_path)
    numbers = {}
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        for way, jobs, address in (("one", 1, None), ("two", 2, None), ("cluster", None, cluster.scheduler_address)):
            shutil.copytree(store.parent, tmp_path / way / "work" / "sync")
            monkeypatch.chdir(tmp_path / way)
            folder, filled = fill_table(table, None, ask, "command", jobs, address)
            assert (filled.failed, list(filled.notes)) == (0, [])
            numbers[way] = list(csv.reader((folder / "table.csv").open()))
            assert len(numbers[way]) == 1 + 4 * 2 * 2
    assert numbers["one"] == numbers["two"] == numbers["cluster"]
    # A second time nothing is run.
    monkeypatch.setattr("trainer.studies.cells.run_cell", lambda *words: pytest.fail("a finished cell was run again"))
    folder, filled = fill_table(table, None, ask, "command", 1)
    assert list(csv.reader((folder / "table.csv").open())) == numbers["one"]
    assert filled.seconds > 0


@pytest.mark.slow
def test_an_interrupt_saves_what_is_in_hand_and_the_table_says_what_was_not_run(
    tmp_path: Path, make_store: Callable[..., Path], tiny_arguments: list[str]
) -> None:
    make_store()
    words = ["ablation", "--table", "sampling", "--seeds", "0", "--jobs", "1", "--device", "cpu", *tiny_arguments]
    table = subprocess.Popen(
        [sys.executable, "-m", "trainer", *words, "--epochs", "1000"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("work/runs/*/metrics.jsonl")) and time.monotonic() < deadline:
        assert table.poll() is None, table.communicate()
        time.sleep(0.1)
    table.send_signal(signal.SIGTERM)
    _, errors = table.communicate(timeout=120)
    line = "interrupted: 0 of 4 cells are finished; repeat the same command to go on"
    assert (table.returncode, errors.splitlines()) == (130, [line])
    [run] = (tmp_path / "work" / "runs").iterdir()
    assert list(run.glob("checkpoint-*.pt"))
    assert json.loads((run / "run.json").read_text())["seconds"] > 0
    page = (tmp_path / "work/ablations/walkers-sampling/table.md").read_text()
    assert page.count("was not run: it was interrupted or never begun") == 4
