from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from data.shards import SyncStore
from trainer import runs
from trainer.__main__ import main
from trainer.config import Config
from trainer.ranking import EvaluationProtocol, Result, Score, write_results
from trainer.studies.overview import Leftover, entries, format_entries, leftovers, remove

ROOT = Path(__file__).parents[3]
CPU = torch.device("cpu")
PROTOCOL = EvaluationProtocol("walkers", "test", "clothing-change", "single-shot", 10)


@pytest.fixture
def folder(tmp_path: Path, store: SyncStore, tiny: Callable[..., Config], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of runs: one finished and evaluated, one stopped, one that learned nothing, and an empty one."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "work" / "runs"
    done, stopped, bare = (
        runs.start(folder / name, tiny(eps=eps, seed=seed), store.path, store.manifest, CPU)
        for name, eps, seed in (("done", 0.6, 0), ("stopped", 0.5, 1), ("bare", 0.5, 0))
    )
    done.save({"epoch": 2}, 2, 0)
    runs.finish(done)
    scores = tuple(Score(PROTOCOL, name, 41.26, None, None) for name in ("R1", "mAP"))
    write_results(done.folder / "results.json", [Result(PROTOCOL, scores, 8, 0, 8)])
    stopped.save({"epoch": 1}, 1, 3)
    (folder / "empty" / "inner").mkdir(parents=True)
    (folder / "notes").mkdir()
    (folder / "notes" / "mine.txt").write_text("no run")
    assert bare.checkpoints() == []
    return folder


def make(command: str, *words: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "trainer", command, *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_a_user_sees_all_runs_and_how_they_differ(folder: Path) -> None:
    lines = make("runs")
    assert lines[0].split("  ")[0] == "run"
    rows = {line.split()[0]: line for line in lines[1:]}
    assert set(rows) == {"bare", "done", "stopped"}
    assert "walkers  2 of 2  41.3" in rows["done"]
    assert rows["done"].endswith("seed 0, eps 0.6")
    assert "1 of 2" in rows["stopped"]
    assert rows["stopped"].endswith("seed 1, eps 0.5")


def test_a_damaged_run_or_results_hide_no_other_run(folder: Path) -> None:
    (folder / "bare" / "config.json").write_text("{")
    (folder / "done" / "results.json").write_text("{")
    shown = {entry.name: entry.rank1 for entry in entries(folder)}
    assert shown == {"done": None, "stopped": None}
    assert "done" in format_entries(entries(folder))


def test_no_run_at_all_is_an_empty_table(tmp_path: Path) -> None:
    assert len(format_entries(entries(tmp_path)).splitlines()) == 1
    assert leftovers(tmp_path / "none") == []


def test_what_would_be_removed_is_shown_first(folder: Path) -> None:
    lines = make("clean-runs")
    assert [line.split()[0] for line in lines[1:-1]] == [f"work/runs/{name}" for name in ("bare", "empty", "stopped")]
    assert "stopped after 1 of 2 epochs" in lines[3]
    assert lines[-1].startswith("nothing was removed")
    assert len(list(folder.iterdir())) == 5
    assert make("clean-runs", "--yes")[-1] == "3 removed"
    assert sorted(path.name for path in folder.iterdir()) == ["done", "notes"]
    assert make("clean-runs") == ["no run in work/runs is to be removed"]


def test_what_is_elsewhere_or_cannot_be_read_stays(folder: Path, tmp_path: Path) -> None:
    (folder / "stopped").rename(tmp_path / "elsewhere")
    (folder / "stopped").symlink_to(tmp_path / "elsewhere")
    (folder / "bare" / "run.json").write_text("{")
    found = leftovers(folder)
    assert [each.reason for each in found] == ["is empty"]
    assert remove(found) == 1
    assert (tmp_path / "elsewhere" / "config.json").exists()


def test_a_run_in_training_stays_and_takes_no_second_training(
    folder: Path, tiny_arguments: list[str], store: SyncStore
) -> None:
    words = ["train", "--run", "long", "--sync", str(store.path), "--device", "cpu", *tiny_arguments, "--epochs", "999"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen([sys.executable, "-m", "trainer", *words], env=environment) as training:
        try:
            while not (folder / "long" / "config.json").exists():
                assert training.poll() is None
                time.sleep(0.05)
            long_ago = time.time() - 48 * 3600
            for path in (folder / "long").iterdir():
                os.utime(path, (long_ago, long_ago))
            assert "long" not in {each.folder.name for each in leftovers(folder)}
            second = CliRunner().invoke(main, words)
            assert second.exit_code == 1
            assert second.stderr == (
                "error: work/runs/long: another training is at work on it: wait for its end, or stop it\n"
            )
            assert remove([Leftover(folder / "long", "seemed dead", 0)]) == 0
        finally:
            training.kill()
    found = leftovers(folder)
    assert {each.folder.name for each in found} == {"bare", "empty", "long", "stopped"}
    assert remove(found) == 4
    assert sorted(path.name for path in folder.iterdir()) == ["done", "notes"]
