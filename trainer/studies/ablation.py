"""Ablation: a table from its plan to its files; what is finished of it stays, and the same call goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from data.runtime.errors import Interrupted
from data.runtime.files import replacing, write_json
from data.runtime.logs import get_logger
from data.runtime.places import ABLATIONS
from data.runtime.progress import progress
from trainer.ranking.results import Result
from trainer.studies.cells import Outcome, read_cell, run_cells
from trainer.studies.chart import draw_table
from trainer.studies.layout import NOT_RUN, Filled, to_csv, to_json, to_markdown
from trainer.studies.plan import Ask, PlannedRow, plan_table
from trainer.studies.summary import summarise
from trainer.studies.tables import Table

_log = get_logger(__name__)


def fill_table(
    table: Table, dataset: str | None, ask: Ask, command: str, jobs: int | None = None, cluster: str | None = None
) -> tuple[Path, Filled]:
    """Run what is missing of a table and write it, as far as it came, to work/ablations/<dataset>-<table>/table.*.

    Args:
        table: which.
        dataset: whose shards are taken; by default that of the shards made or asked for last.
        ask: what is asked of every cell.
        command: by which it was asked for, to stand in its files.
        jobs: trainings side by side; by default one a GPU, or without one as many as there are cores.
        cluster: address of a Dask scheduler whose workers run them instead.

    Returns:
        The folder, and the table.

    Raises:
        InputError: there are no shards for it, a setting is impossible, or no scheduler answers.
        Interrupted: it was; the cells in hand have saved what they had, and the same call goes on.
    """
    dataset, rows = plan_table(table, dataset, ask)
    cells = {cell.name: cell for row in rows for cell in row.cells.values()}
    labels = {cell.name: f"{row.row.name}, seed {seed}" for row in rows for seed, cell in row.cells.items()}
    measured = {name: results for name, cell in cells.items() if (results := read_cell(cell, ask.split))}
    failures: dict[str, str] = {}
    missing = [cell for name, cell in cells.items() if name not in measured]
    folder = ABLATIONS / f"{dataset}-{table.name}"
    _log.info(f"{len(cells)} cells, {len(measured)} of them finished already; each has its run.log below work/runs")
    with progress("training", len(cells), "cells", len(measured)) as bar:

        def done(outcome: Outcome) -> None:
            results = read_cell(cells[outcome.name], ask.split) if not outcome.failure else ()
            if results:
                measured[outcome.name] = results
                _log.info(f"{labels[outcome.name]}: {outcome.seconds:,.0f} s")
            else:
                failures[outcome.name] = outcome.failure or "it has no results of these people"
                _log.warning(f"{labels[outcome.name]}: {failures[outcome.name]}")
            bar.advance()

        try:
            run_cells(missing, ask.device, jobs, cluster, done)
        except KeyboardInterrupt:
            raise Interrupted(
                f"interrupted: {len(measured)} of {len(cells)} cells are finished; repeat the same command to go on"
            ) from None
        finally:
            filled = _fill(table, dataset, ask, rows, measured, failures, command)
            _write(folder, filled)
    return folder, filled


def _fill(
    table: Table,
    dataset: str,
    ask: Ask,
    rows: Sequence[PlannedRow],
    measured: Mapping[str, Sequence[Result]],
    failures: Mapping[str, str],
    command: str,
) -> Filled:
    notes, facts = [], {}
    for row in rows:
        if row.missing:
            notes.append(f"{row.row.name} was {NOT_RUN}: {row.missing}")
        for seed, cell in row.cells.items():
            if cell.name in measured:
                facts[cell.name] = cell.run.facts
            else:
                why = failures.get(cell.name, "it was interrupted or never begun")
                notes.append(f"{row.row.name}, seed {seed} was {NOT_RUN}: {why}")
    return Filled(table, dataset, ask, rows, summarise(rows, measured), notes, facts, command, len(failures))


def _write(folder: Path, filled: Filled) -> None:
    """Write a table's files, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("table.md", to_markdown(filled)), ("table.csv", to_csv(filled))):
        with replacing(folder / name) as part:
            part.write_text(text, encoding="utf-8")
    write_json(folder / "table.json", to_json(filled))
    draw_table(folder / "table.png", filled)
