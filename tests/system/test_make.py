"""The Makefile: it says what there is, and its variables become options."""

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
        (["train", "GPUS=4"], ["-m trainer.distributed.launch", "--nproc-per-node 4", "-m -- trainer train"]),
        (["eval", "RUN=mine"], ['--run "mine"']),
        (["train"], ["-m trainer train"]),
    ],
)
def test_variables_become_options(words: list[str], options: list[str]) -> None:
    commands = make("-n", *words)
    assert [option for option in options if option not in commands] == []


def test_a_variable_that_is_not_set_gives_no_option() -> None:
    assert "--seed" not in make("-n", "train")


def test_every_variable_has_a_line() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    used = {*re.findall(r"call (?:option|flag),--[a-z-]+,([A-Z_]+)", makefile), "ARGS", "GPUS", "PYTHON"}
    assert set(re.findall(r"^#: ([A-Z_]+) ", makefile, re.MULTILINE)) == used


def test_every_target_has_a_line() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = {target for line in re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE) for target in line.split()}
    assert targets == set(re.findall(r"^  make ([a-z-]+) +\S", make(), re.MULTILINE))
