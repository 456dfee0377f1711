"""The commands that look at several runs: runs and clean-runs."""

from __future__ import annotations

import click

from data.runtime.logs import get_logger
from data.runtime.places import RUNS

_log = get_logger("trainer.command")


@click.command("runs")
def list_runs() -> None:
    """List all runs: data set, epochs, R1 in the first protocol they were evaluated in, and how they differ."""
    from trainer.studies import overview

    click.echo(overview.format_entries(overview.entries(RUNS)))


@click.command("clean-runs")
@click.option("--yes", is_flag=True, help="remove them; without it they are only listed")
def clean_runs(yes: bool) -> None:
    """Show which runs are unfinished or empty; remove them with --yes."""
    from trainer.studies import overview

    found = overview.leftovers(RUNS)
    if not found:
        _log.info(f"no run in {RUNS} is to be removed")
        return
    click.echo(overview.format_leftovers(found))
    if yes:
        _log.info(f"{overview.remove(found):,} removed")
    else:
        _log.info("nothing was removed: make clean-runs ARGS=--yes removes them")
