"""The commands that look at several runs: runs, clean-runs, worth."""

from __future__ import annotations

import click

from data.runtime.logs import get_logger
from data.runtime.places import RUNS, STORES

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


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="trainings of each arm")
@click.option(
    "--split", type=click.Choice(["test", "validation"]), default="test", show_default=True, help="which people"
)
@click.option("--keep-person", is_flag=True, help="also shards made by `make sync` with --keep-person")
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def worth(seeds: int, split: str, keep_person: bool, options: tuple[str, ...]) -> None:
    """Compare on walkers: the baseline, the generator's redrawn photos and ideal ones; OPTIONS go to every training."""
    from trainer.studies.worth import arms, format_worth, measure

    compared = arms(STORES, keep_person)
    measured = {arm.name: [measure(arm, seed, split, options) for seed in range(seeds)] for arm in compared}
    for shots in ("single-shot", "multi-shot"):
        click.echo("\n" + format_worth(measured, shots))
