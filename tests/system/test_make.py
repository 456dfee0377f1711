"""The Makefile: it says what there is, its variables become options, and the README names only what exists."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def make(*words: str) -> str:
    done = subprocess.run(["make", "-C", str(ROOT), *words], capture_output=True, text=True, check=True)
    return done.stdout


def test_make_alone_prints_targets_and_variables() -> None:
    printed = make()
    for word in (
        "make demo",
        "make sync",
        "make train",
        "make eval",
        "make test",
        "DATASET",
        "DATA_ROOT",
        "SEED",
        "ARGS",
    ):
        assert word in printed


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (["sync", "DATASET=prcc", "DATA_ROOT=a b", "S=2"], ['--dataset "prcc"', '--data-root "a b"', '--versions "2"']),
        (["train", "PRESET=paper", "SEED=3"], ['--preset "paper"', '--seed "3"']),
        (["train", "GPUS=4"], ["-m torch.distributed.run", "--nproc-per-node 4"]),
        (["eval", "RUN=mine"], ['--run "mine"']),
        (["train"], ["-m trainer train"]),
    ],
)
def test_variables_become_options(words: list[str], options: list[str]) -> None:
    commands = make("-n", *words)
    assert [option for option in options if option not in commands] == []


def test_a_variable_that_is_not_set_gives_no_option() -> None:
    assert "--seed" not in make("-n", "train")


def test_the_readme_names_only_targets_that_exist() -> None:
    rules = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"`?make ([a-z][a-z-]+)", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert "demo" in named
    assert named - rules == set()
