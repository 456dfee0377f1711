"""Worth: what redrawn photos add to a baseline, for a generator's and for ideal ones, over several seeds."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from data.runtime.errors import InputError, RunError
from data.runtime.tables import format_table
from data.shards import finished_stores
from trainer import runs
from trainer.ranking.results import Result, read_results

BASELINE = ("--no-c-a", "--no-c-i", "--sampling", "none")
"""Options that leave of the method only its cluster contrast on the photos."""


@dataclass(frozen=True)
class Column:
    """A number of the table: a metric in a setting."""

    setting: str
    metric: str

    def __str__(self) -> str:
        """Return its heading."""
        return f"{self.setting} {self.metric}"


COLUMNS = tuple(Column(setting, metric) for setting in ("clothing-change", "same-clothing") for metric in ("R1", "mAP"))
JUDGED = COLUMNS[0]
"""The number by which arms are compared with the baseline."""


@dataclass(frozen=True)
class Arm:
    """A way to train: its name, its shards and the options that differ from the preset's settings."""

    name: str
    store: Path
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """An arm's numbers: of each column the values (seeds,), in per cent."""

    arm: str
    values: Mapping[Column, np.ndarray]


def arms(stores: Path, keep_person: bool = False) -> list[Arm]:
    """Return baseline, generator and ideal on the newest shards of walkers.

    Args:
        stores: the folder that holds them.
        keep_person: add the generator's clothes on the photos' own pixels: shards of `make sync` with --keep-person.

    Raises:
        InputError: shards are missing.
    """
    painted, ideal = _newest(stores, "pise"), _newest(stores, "ideal")
    kept = [Arm("kept", _newest(stores, "pise", keep_person=True))] if keep_person else []
    return [Arm("baseline", painted, BASELINE), Arm("generator", painted), *kept, Arm("ideal", ideal)]


def measure(arm: Arm, seed: int, split: str, options: Sequence[str] = ()) -> tuple[Result, ...]:
    """Train and evaluate one arm with one seed, in processes of their own; what is finished is not trained again.

    Args:
        arm: what is trained.
        seed: also part of the run's name.
        split: whose people are ranked, "test" or "validation"; the results are of these alone.
        options: more options of `train`.

    Raises:
        RunError: a command failed; what it said stands above.
    """
    key = arm.store.name.rpartition("-")[2]
    name = f"worth-{arm.name}-{key}-{seed}"
    settings = [*arm.options, *options, "--seed", str(seed)]
    _trainer("train", "--sync", str(arm.store), "--run", name, "--preset", "walkers", *settings)
    _trainer("eval", "--run", name, "--split", split)
    every = read_results(runs.find_run(name).folder / "results.json")
    wanted = {"benchmark": "walkers", "split": split, "rerank": False, "flip": False, "checkpoint": "last"}
    asked = [result for result in every if wanted.items() <= asdict(result.protocol).items()]
    # Of several measurements of a protocol, such as of an earlier evaluation elsewhere, the one just made stands last.
    return tuple({str(result.protocol): result for result in asked}.values())


def format_worth(measured: Mapping[str, Sequence[Sequence[Result]]], shots: str) -> str:
    """Lay out one protocol's numbers in per cent: an arm a line, mean ± standard deviation over the seeds.

    Below the table stands each arm's gain in clothing-change R1 over the baseline, and the generator's gain as a share
    of the ideal's.

    Args:
        measured: results by arm, then by seed; one of the arms is "baseline".
        shots: which of the protocols, "single-shot" or "multi-shot".
    """
    rows = [_row(arm, seeds, shots) for arm, seeds in measured.items()]
    seeds = next(iter(measured.values()))
    results = [_result(seeds[0], column.setting, shots) for column in COLUMNS]
    protocols = dict.fromkeys(str(result.protocol) for result in results)
    chances = [f"{result[column.metric].chance:.1f}" for result, column in zip(results, COLUMNS, strict=True)]
    lines = [[row.arm, *(_mean_and_spread(row.values[column]) for column in COLUMNS)] for row in rows]
    table = format_table(["", *(str(column) for column in COLUMNS)], [["chance", *chances], *lines])
    return f"{'; '.join(protocols)}; {len(seeds)} seeds, per cent\n{table}\n{_gains(rows)}"


def _row(arm: str, seeds: Sequence[Sequence[Result]], shots: str) -> Row:
    return Row(
        arm,
        {
            column: np.array([_result(results, column.setting, shots)[column.metric].value for results in seeds])
            for column in COLUMNS
        },
    )


def _result(results: Sequence[Result], setting: str, shots: str) -> Result:
    for result in results:
        if (result.protocol.setting, result.protocol.shots) == (setting, shots):
            return result
    raise RunError(f"{setting}, {shots} was not measured, as was said above: render the walkers anew, with more people")


def _mean_and_spread(values: np.ndarray) -> str:
    return f"{values.mean():.1f}" + (f" ± {values.std(ddof=1):.1f}" if len(values) > 1 else "")


def _gains(rows: Sequence[Row]) -> str:
    means = {row.arm: float(row.values[JUDGED].mean()) for row in rows}
    gains = {arm: mean - means["baseline"] for arm, mean in means.items() if arm != "baseline"}
    line = f"{JUDGED} over the baseline: " + ", ".join(f"{arm} {gain:+.1f}" for arm, gain in gains.items())
    return line + (f", a ratio of {gains['generator'] / gains['ideal']:.2f}" if gains["ideal"] > 0 else "")


def _newest(stores: Path, painter: str, keep_person: bool = False) -> Path:
    """Return the walkers' finished shards by this painter that were made or asked for last."""
    for folder, manifest in finished_stores(stores, "walkers"):
        recipe = manifest.recipe
        if (recipe.get("painter"), recipe.get("keep_person", False)) == (painter, keep_person):
            return folder
    how = "`make sync DATASET=walkers ARGS=--keep-person`" if keep_person else "`make worth`"
    raise InputError(f"{stores}: no finished shards of walkers redrawn by {painter}: run {how}, which makes them")


def _trainer(*words: str) -> None:
    done = subprocess.run([sys.executable, "-m", "trainer", *words], check=False)
    if done.returncode:
        raise RunError(f"`python -m trainer {' '.join(words)}` failed (see above): mend it and repeat the same command")
