"""Worth: what redrawn photos add to a baseline, for a generator's and for ideal ones, over several seeds."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.runtime.errors import InputError, RunError
from data.shards import MANIFEST, read_manifest
from trainer import runs
from trainer.ranking.results import EvaluationProtocol, Result, read_results

BASELINE = ("--no-c-a", "--no-c-i", "--sampling", "none")
"""Options that leave of the method only its cluster contrast on the photos."""

_COLUMNS = (("clothing-change", "R1"), ("clothing-change", "mAP"), ("same-clothing", "R1"), ("same-clothing", "mAP"))


@dataclass(frozen=True)
class Arm:
    """A way to train: its name, its shards and the options that differ from the preset's settings."""

    name: str
    store: Path
    options: tuple[str, ...] = ()


def arms(work: Path, keep_person: bool = False) -> list[Arm]:
    """Baseline, generator and ideal on the newest shards of walkers. InputError where shards are missing.

    keep_person adds the generator's clothes on the photos' own pixels: shards of `make sync` with --keep-person.
    """
    painted, ideal = _newest(work, "pise"), _newest(work, "ideal")
    kept = [Arm("kept", _newest(work, "pise", keep_person=True))] if keep_person else []
    return [Arm("baseline", painted, BASELINE), Arm("generator", painted), *kept, Arm("ideal", ideal)]


def measure(arm: Arm, seed: int, split: str, options: Sequence[str] = ()) -> tuple[Result, ...]:
    """Train and evaluate one arm with one seed, in processes of their own; what is finished is not done again."""
    key = arm.store.name.rpartition("-")[2]
    name = f"worth-{arm.name}-{key}-{seed}"
    settings = [*arm.options, *options, "--seed", str(seed)]
    _trainer("train", "--sync", str(arm.store), "--run", name, "--preset", "walkers", *settings)
    _trainer("eval", "--run", name, "--split", split)
    every = read_results(runs.find_run(name).folder / "results.json")
    return tuple(result for result in every if result.protocol.split == split)


def format_worth(measured: Mapping[str, Sequence[Sequence[Result]]], shots: str) -> str:
    """A table of one protocol's numbers, `measured[arm][seed]`: mean ± standard deviation over the seeds, in per cent.

    Below it each arm's gain in clothing-change R1 over the baseline, the generator's also as a share of the ideal's.
    """
    lines = []
    values: dict[str, list[np.ndarray]] = {}
    chances = np.zeros(len(_COLUMNS))
    protocols: dict[str, EvaluationProtocol] = {}
    for arm, seeds in measured.items():
        columns = []
        for column, (setting, metric) in enumerate(_COLUMNS):
            results = [_protocol(results, setting, shots) for results in seeds]
            columns.append(np.array([result[metric].value for result in results]))
            chances[column] = results[0][metric].chance
            protocols[setting] = results[0].protocol
        values[arm] = columns
    lines.append(f"{'; '.join(map(str, protocols.values()))}; {len(seeds)} seeds, per cent")
    lines.append(f"{'':<12}" + "".join(f"{setting + ' ' + metric:>22}" for setting, metric in _COLUMNS))
    lines.append(f"{'chance':<12}" + "".join(f"{chance:>22.1f}" for chance in chances))
    for arm, columns in values.items():
        lines.append(f"{arm:<12}" + "".join(f"{_mean_and_spread(column):>22}" for column in columns))
    gains = {arm: float(columns[0].mean() - values["baseline"][0].mean()) for arm, columns in values.items()}
    lines.append(
        "clothing-change R1 over the baseline: "
        + ", ".join(f"{arm} {gain:+.1f}" for arm, gain in gains.items() if arm != "baseline")
        + (f", a ratio of {gains['generator'] / gains['ideal']:.2f}" if gains["ideal"] > 0 else "")
    )
    return "\n".join(lines)


def _protocol(results: Sequence[Result], setting: str, shots: str) -> Result:
    return next(result for result in results if result.protocol.setting == setting and result.protocol.shots == shots)


def _mean_and_spread(values: np.ndarray) -> str:
    return f"{values.mean():.1f}" + (f" ± {values.std(ddof=1):.1f}" if len(values) > 1 else "")


def _newest(work: Path, painter: str, keep_person: bool = False) -> Path:
    """The walkers' finished shards by this painter that were made or asked for last."""
    found = []
    for path in work.glob(f"walkers-*/{MANIFEST}"):
        manifest = read_manifest(path.parent)
        recipe = manifest["recipe"]
        if manifest["finished"] and (recipe["painter"], recipe["keep_person"]) == (painter, keep_person):
            found.append((path.stat().st_mtime, path.parent))
    if not found:
        how = "`make sync DATASET=walkers ARGS=--keep-person`" if keep_person else "`make worth`"
        raise InputError(f"{work}: no finished shards of walkers redrawn by {painter}: run {how}, which makes them")
    return max(found)[1]


def _trainer(*words: str) -> None:
    done = subprocess.run([sys.executable, "-m", "trainer", *words], check=False)
    if done.returncode:
        raise RunError(f"`python -m trainer {' '.join(words)}` failed (see above): mend it and repeat the same command")
