"""Our own training with an oracle in the place of clustering."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from trainer import runs
from trainer.__main__ import main
from trainer.runs import Run
from trainer.studies.plan import option_words


def call(*words: str) -> str:
    done = CliRunner().invoke(main, list(words))
    return done.output + repr(done.exception or "")


@pytest.fixture(autouse=True)
def here(make_store: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_store()
    monkeypatch.chdir(tmp_path)


def records(name: str) -> list[dict[str, float]]:
    lines = (runs.find_run(name).folder / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_its_clusters_are_the_people_and_its_run_says_so(tiny_arguments: list[str]) -> None:
    call("oracle", "--run", "told", *tiny_arguments)
    assert [record["ARI"] for record in records("told")] == [1.0, 1.0]
    assert [record["clusters"] for record in records("told")] == [6, 6]
    assert runs.find_run("told").facts["taught_by"] == "names"
    assert "told who is who" in call("eval", "--run", "told")
    call("train", "--run", "blind", *tiny_arguments)
    assert runs.find_run("blind").facts["taught_by"] == "clusters"
    assert "told who is who" not in call("eval", "--run", "blind")


def test_a_run_is_never_taught_by_both(tiny_arguments: list[str]) -> None:
    call("train", "--run", "one", *tiny_arguments)
    assert "taught by clusters, not by names: give another run name" in call("oracle", "--run", "one", *tiny_arguments)
    call("oracle", "--run", "two", *tiny_arguments)
    assert "taught by names, not by clusters: give another run name" in call("train", "--run", "two", *tiny_arguments)
    call("train", *tiny_arguments)
    call("oracle", *tiny_arguments)
    assert len(list(Path("work/runs").iterdir())) == 4


def test_people_who_are_not_known_and_a_second_encoder_are_refused(tiny_arguments: list[str]) -> None:
    more = option_words({"labeller": True})
    assert "an oracle needs no second encoder" in call("oracle", "--run", "x", *tiny_arguments, *more)
    for folder in sorted(Path("dataset/rgb/train").iterdir())[:2]:
        folder.rename(Path("dataset/rgb") / folder.name)
    assert "who is in 12 of 36 photos is not known" in call("oracle", "--run", "y", *tiny_arguments)
    assert not Run(Path("work/runs/y")).begun


def test_it_goes_on_where_it_was_stopped(tiny_arguments: list[str]) -> None:
    call("oracle", "--run", "whole", *tiny_arguments)
    call("oracle", "--run", "parts", *tiny_arguments)
    newest, older = runs.find_run("parts").checkpoints()
    newest.unlink()
    assert older.exists()
    runs.find_run("parts").note(finished=None)
    call("oracle", "--run", "parts", *tiny_arguments)
    assert [record["loss"] for record in records("parts")] == [record["loss"] for record in records("whole")]
