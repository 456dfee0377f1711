"""Summary: of each row and protocol the mean over the seeds, its spread, and the paired difference to the first row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainer.ranking.results import EvaluationProtocol, Result
from trainer.studies.plan import PlannedRow

METRICS = ("R1", "mAP")
Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Number:
    """A metric of a row, in per cent.

    Attributes:
        values: by seed, those that were measured.
        mean: over them.
        spread: their standard deviation (with n - 1); None for one seed.
        difference: mean over the seeds of the difference to the first row with the same seed; None for the first row.
        error: standard error of that mean; None for one seed.
    """

    values: Mapping[int, float]
    mean: float
    spread: float | None
    difference: float | None
    error: float | None


@dataclass(frozen=True)
class Part:
    """A table's numbers in one protocol.

    Attributes:
        protocol: how they were measured, but for the encoder's digest, which is the first one's.
        chance: what rankings in random order give, by metric.
        rows: the numbers by metric, for each of the table's rows; {} where it was not run.
    """

    protocol: EvaluationProtocol
    chance: Mapping[str, float | None]
    rows: tuple[Mapping[str, Number], ...]


def summarise(rows: Sequence[PlannedRow], measured: Mapping[str, Sequence[Result]]) -> list[Part]:
    """Summarise what was measured, a part for each protocol.

    Args:
        rows: of the table.
        measured: results of the cells that are finished, by name of the run.
    """
    found: dict[tuple[str, str], Result] = {}
    for row in rows:
        for cell in row.cells.values():
            for result in measured.get(cell.name, ()):
                found.setdefault(_kind(result), result)
    parts = []
    for kind, example in found.items():
        of_rows = [_of_row(row, kind, measured) for row in rows]
        numbers = [
            {metric: _number(values[metric], of_rows[0][metric], at == 0) for metric in METRICS if values[metric]}
            for at, values in enumerate(of_rows)
        ]
        chance = {metric: example[metric].chance for metric in METRICS}
        parts.append(Part(example.protocol, chance, tuple(numbers)))
    return parts


def _kind(result: Result) -> tuple[str, str]:
    return result.protocol.setting, result.protocol.shots


def _of_row(
    row: PlannedRow, kind: tuple[str, str], measured: Mapping[str, Sequence[Result]]
) -> dict[str, dict[int, float]]:
    """Give a row's values in a protocol, by metric and seed."""
    values: dict[str, dict[int, float]] = {metric: {} for metric in METRICS}
    for seed, cell in row.cells.items():
        for result in measured.get(cell.name, ()):
            if _kind(result) == kind:
                for metric in METRICS:
                    values[metric][seed] = result[metric].value
    return values


def _number(values: Mapping[int, float], first: Mapping[int, float], is_first: bool) -> Number:
    mean, spread = _mean(np.array(list(values.values())), 1)
    paired = [] if is_first else [value - first[seed] for seed, value in values.items() if seed in first]
    difference, error = _mean(np.array(paired), len(paired)) if paired else (None, None)
    return Number(values, mean, spread, difference, error)


def _mean(values: Values, divisor: int) -> tuple[float, float | None]:
    """Give a mean, and the standard deviation divided by the root of the divisor, None for a single value."""
    deviation = float(values.std(ddof=1)) / divisor**0.5 if len(values) > 1 else None
    return float(values.mean()), deviation
