"""Layout: a table with its numbers as Markdown, plain text, CSV and JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from data.runtime.tables import format_table
from trainer.studies.plan import Ask, PlannedRow, option_words
from trainer.studies.summary import METRICS, Number, Part
from trainer.studies.tables import PAPER, Figure, Row, Table

NOT_RUN = "not run"
NOT_GIVEN = "not given here"
JUDGED = ("clothing-change", "R1")
"""The number by which a share of a gain is told."""


@dataclass(frozen=True)
class Filled:
    """A table with all that was measured for it.

    Attributes:
        table: which.
        dataset: name of the data set.
        ask: what was asked of every cell.
        rows: with their cells.
        parts: the numbers, by protocol.
        notes: why something was not run, a line each.
        facts: of each run that is there, what its run.json says.
        command: which gives the table.
        failed: how many cells failed.
    """

    table: Table
    dataset: str
    ask: Ask
    rows: Sequence[PlannedRow]
    parts: Sequence[Part]
    notes: Sequence[str]
    facts: Mapping[str, Mapping[str, Any]]
    command: str
    failed: int = 0

    @property
    def cells(self) -> int:
        """Count its trainings, also those that were not run."""
        return len({cell.name for planned in self.rows for cell in planned.cells.values()})

    @property
    def seconds(self) -> float:
        """Give the seconds that its cells took, one after the other."""
        return sum(facts.get("seconds", 0.0) for facts in self.facts.values())

    def each(self, fact: str) -> str:
        """Give the different values of a fact of its runs in a line."""
        return ", ".join(sorted({str(facts.get(fact)) for facts in self.facts.values()})) or NOT_RUN


def figure_for(row: Row, dataset: str, setting: str) -> Figure | None:
    """Find what the paper reports of a row in a setting: of this data set, else of PRCC."""
    given = {figure.benchmark: figure for figure in row.paper if figure.setting == setting}
    return given.get(dataset) or given.get(PAPER)


def to_text(filled: Filled) -> str:
    """Lay a table out for a terminal."""
    blocks = [f"{title}\n{format_table(header, lines)}" for title, header, lines in _blocks(filled)]
    return "\n\n".join([_title(filled), *blocks, "\n".join(_remarks(filled))])


def to_markdown(filled: Filled) -> str:
    """Lay a table out as a page that shows its picture, table.png, too."""
    pieces = [f"# {_title(filled)}", "![Mean and standard deviation over the seeds](table.png)"]
    for title, header, lines in _blocks(filled):
        table = [_markdown_row(header), _markdown_row(["---", *["---:"] * (len(header) - 1)])]
        pieces += [f"## {title}", "\n".join([*table, *map(_markdown_row, lines)])]
    pieces.append("\n".join(f"- {remark}" for remark in _remarks(filled)))
    lines = []
    for planned in filled.rows:
        cells = [filled.facts.get(cell.name, {}) for cell in planned.cells.values()]
        seconds = sum(facts.get("seconds", 0.0) for facts in cells)
        options = " ".join(option_words(planned.row.settings))
        options = f"make baseline METHOD={planned.row.method}" if planned.row.method else options
        lines.append([planned.row.name, f"`{options}`" if options else "", f"{seconds:,.0f}"])
    pieces += [
        "## What was trained",
        "\n".join(map(_markdown_row, [["row", "options", "seconds"], ["---"] * 3, *lines])),
    ]
    return "\n\n".join(pieces) + "\n"


def to_csv(filled: Filled) -> str:
    """Give a table's numbers as CSV: a line for each row, protocol and metric, in per cent."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = ("mean", "spread", "difference", "error")
    writer.writerow(
        ["table", "dataset", "row", "setting", "shots", "metric", "seeds", *names, "chance", "paper_on", "paper"]
    )
    for part in filled.parts:
        for planned, numbers in zip(filled.rows, part.rows, strict=True):
            figure = figure_for(planned.row, filled.dataset, part.protocol.setting)
            for metric in METRICS:
                number = numbers.get(metric)
                paper = [figure.benchmark, _of(figure)[metric]] if figure else ["", NOT_GIVEN]
                values = [getattr(number, name) for name in names] if number else [NOT_RUN, "", "", ""]
                writer.writerow(
                    [
                        *(filled.table.name, filled.dataset, planned.row.name),
                        *(part.protocol.setting, part.protocol.shots, metric),
                        " ".join(map(str, number.values)) if number else "",
                        *(f"{value:.3f}" if isinstance(value, float) else value for value in values),
                        part.chance[metric],
                        *paper,
                    ]
                )
    return text.getvalue()


def to_json(filled: Filled) -> dict[str, Any]:
    """Give all of a table as values that JSON holds: cells with their runs, numbers by protocol, row and seed."""
    return {
        "table": filled.table.name,
        "title": filled.table.title,
        "dataset": filled.dataset,
        "command": filled.command,
        "unit": "per cent",
        **asdict(filled.ask),
        "seconds": filled.seconds,
        "notes": list(filled.notes),
        "cells": [
            {"row": planned.row.name, "seed": seed, "run": cell.name, "settings": dict(planned.row.settings)}
            | {name: filled.facts.get(cell.name, {}).get(name) for name in ("commit", "device", "seconds", "finished")}
            for planned in filled.rows
            for seed, cell in planned.cells.items()
        ],
        "parts": [
            {
                "protocol": {**asdict(part.protocol), "encoder": None},
                "chance": part.chance,
                "rows": [
                    {
                        "row": planned.row.name,
                        "measured": {metric: asdict(n) for metric, n in numbers.items()} or NOT_RUN,
                    }
                    for planned, numbers in zip(filled.rows, part.rows, strict=True)
                ],
            }
            for part in filled.parts
        ],
        "paper": [{"row": planned.row.name, **asdict(f)} for planned in filled.rows for f in planned.row.paper],
    }


def _title(filled: Filled) -> str:
    return f"{filled.table.title}: {filled.dataset}, {filled.ask.split} people"


def _blocks(filled: Filled) -> list[tuple[str, list[str], list[list[str]]]]:
    """Give title, header and lines of each protocol's part; of none, where nothing was run, the rows alone."""
    if not filled.parts:
        return [("no results yet", ["", "R1"], [[planned.row.name, NOT_RUN] for planned in filled.rows])]
    blocks = []
    for part in filled.parts:
        figures = [figure_for(planned.row, filled.dataset, part.protocol.setting) for planned in filled.rows]
        benchmarks = sorted({figure.benchmark for figure in figures if figure})
        header = ["", "R1", "difference", "mAP", "difference"]
        header += [f"paper ({', '.join(benchmarks)})"] if benchmarks else []
        lines = []
        for planned, numbers, figure in zip(filled.rows, part.rows, figures, strict=True):
            line = [planned.row.name]
            for metric in METRICS:
                line += _cells(numbers.get(metric), len(filled.ask.seeds))
            lines.append([*line, *([_paper(figure)] if benchmarks else [])])
        chance = ", ".join(f"{value:.1f} {metric}" for metric, value in part.chance.items() if value is not None)
        blocks.append((f"{part.protocol}; chance {chance}", header, lines))
    return blocks


def _cells(number: Number | None, seeds: int) -> list[str]:
    if number is None:
        return [NOT_RUN, ""]
    lacking = f" ({len(number.values)} of {seeds} seeds)" if len(number.values) < seeds else ""
    difference = "" if number.difference is None else f"{_signed(number.difference)}{_plus_minus(number.error)}"
    return [f"{number.mean:.1f}{_plus_minus(number.spread)}{lacking}", difference]


def _signed(value: float) -> str:
    return f"{round(value, 1) + 0.0:+.1f}"  # Without the zero, a small loss would be -0.0.


def _plus_minus(value: float | None) -> str:
    return "" if value is None else f" ± {value:.1f}"


def _paper(figure: Figure | None) -> str:
    return f"{figure.rank1:.1f} / {figure.mean_ap:.1f}" if figure else NOT_GIVEN


def _of(figure: Figure) -> dict[str, float]:
    return {"R1": figure.rank1, "mAP": figure.mean_ap}


def _remarks(filled: Filled) -> list[str]:
    """Say how to read a table, and where its numbers are from."""
    seeds = ", ".join(map(str, filled.ask.seeds))
    reported = any(planned.row.paper for planned in filled.rows)
    return [
        f"Per cent; mean ± standard deviation over seeds {seeds}. Difference: to {filled.rows[0].row.name}, seed by "
        "seed, mean ± its standard error.",
        *(["The paper's figures are R1 / mAP as it prints them; it does not say of which shots."] if reported else []),
        *_shares(filled),
        *filled.notes,
        f"Command: {filled.command}",
        f"Commit {filled.each('commit')}; {filled.each('device')}; {filled.seconds:,.0f} s of training and ranking",
    ]


def _shares(filled: Filled) -> list[str]:
    """Say what share of one row's gain over the first row another has, by single-shot and by multi-shot galleries."""
    if filled.table.share is None:
        return []
    names = [planned.row.name for planned in filled.rows]
    said = []
    for part in filled.parts:
        setting, metric = JUDGED
        gains = [
            number.difference
            for name in filled.table.share
            if (number := part.rows[names.index(name)].get(metric)) and number.difference is not None
        ]
        if part.protocol.setting == setting and len(gains) == len(filled.table.share) and gains[1] > 0:
            told = ", ".join(f"{name} {gain:+.1f}" for name, gain in zip(filled.table.share, gains, strict=True))
            said.append(f"{part.protocol} {metric} over {names[0]}: {told}, a ratio of {gains[0] / gains[1]:.2f}")
    return said


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
