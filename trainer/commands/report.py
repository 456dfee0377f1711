"""The commands that make pages to look at: report, compare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from data.runtime.logs import get_logger
from data.runtime.places import REPORTS
from trainer.commands.common import (
    checkpoint_option,
    count_workers,
    device_option,
    find_device,
    find_run,
    run_option,
    workers_option,
)

_log = get_logger("trainer.command")


def _page_options(command: Any) -> Any:
    """Give a command the options of a page."""
    for option in (
        workers_option,
        device_option,
        click.option(
            "--output", type=click.Path(path_type=Path), default=None, help="the page; by default in work/reports"
        ),
        click.option(
            "--data-root", type=click.Path(path_type=Path), default=None, help="its folder; by default the run's own"
        ),
        click.option("--dataset", default=None, help="benchmark to rank in; by default the run's own"),
        checkpoint_option,
    ):
        command = option(command)
    return command


@click.command()
@run_option
@_page_options
def report(name: str | None, **options: Any) -> None:
    """Write a page on a run: figures, curves, clusters, rankings, redrawn photos, a map of its features."""
    _write([find_run(name)], **options)


@click.command()
@click.option(
    "--runs", "names", required=True, help="names of the runs, as in a,b,c; others are compared with the first"
)
@_page_options
def compare(names: str, **options: Any) -> None:
    """Write the same page on several runs, with differences query by query."""
    from data.runtime.errors import InputError

    wanted = [name for name in names.split(",") if name]
    if len(set(wanted)) < 2 or len(set(wanted)) < len(wanted):
        raise InputError(f"--runs {names}: give the names of two or more different runs, as in a,b")
    _write([find_run(name) for name in wanted], **options)


def _write(
    runs: list[Any],
    checkpoint: str,
    dataset: str | None,
    data_root: Path | None,
    output: Path | None,
    device: str,
    workers: int | None,
) -> None:
    from trainer.report import Request, write_report

    place = find_device(device)
    path = output or REPORTS / f"{'-'.join(run.name for run in runs)}.html"
    request = Request(tuple(runs), checkpoint, dataset, data_root, str(place), count_workers(workers, place))
    write_report(path, request)
    _log.info(f"to look at: {path} ({path.stat().st_size / 1e6:.1f} MB)")
