"""The command that compares ways to train in a table."""

from __future__ import annotations

import shlex
import sys
from typing import Any

import click

from data.runtime.errors import InputError, RunError
from trainer.commands.common import device_option
from trainer.config import Config
from trainer.presets import PRESETS
from trainer.settings import settings_options
from trainer.studies.tables import TABLES


@click.command()
@click.option("--table", "name", type=click.Choice(list(TABLES)), required=True, help="what is compared")
@click.option(
    "--dataset", default=None, help="data set whose last shards are taken; by default that of the last shards"
)
@click.option("--seeds", default="0,1,2", show_default=True, help="each row is trained once with each")
@click.option(
    "--split", type=click.Choice(["test", "validation"]), default="test", show_default=True, help="whose people"
)
@click.option("--preset", type=click.Choice(list(PRESETS)), default=None, help="settings to start from")
@click.option(
    "--jobs",
    type=click.IntRange(1),
    default=None,
    help="trainings side by side; by default one a GPU, without one as many as there are cores",
)
@click.option("--cluster", default=None, help="address of a Dask scheduler, as in tcp://host:8786, whose workers train")
@device_option
@settings_options(Config, PRESETS)
def ablation(
    name: str,
    dataset: str | None,
    seeds: str,
    split: str,
    preset: str | None,
    jobs: int | None,
    cluster: str | None,
    device: str,
    **settings: Any,
) -> None:
    """Train and rank a table's rows over several seeds; what is finished is not run again.

    Options that are settings go to every training.
    """
    from trainer.studies.ablation import fill_table
    from trainer.studies.layout import to_text
    from trainer.studies.plan import Ask

    given = {key: value for key, value in settings.items() if value is not None}
    ask = Ask(_seeds(seeds), split, preset, given, device)
    command = shlex.join(["python", "-m", "trainer", *sys.argv[1:]])
    folder, filled = fill_table(TABLES[name], dataset, ask, command, jobs, cluster)
    click.echo(f"\n{to_text(filled)}\n\nwritten to {folder}")
    if filled.failed:
        raise RunError(
            f"{filled.failed} of {filled.cells} trainings failed (named above): mend it and repeat the same command"
        )


def _seeds(text: str) -> tuple[int, ...]:
    """Read numbers with commas between them."""
    parts = text.replace(" ", "").split(",")
    if not all(part.isdecimal() for part in parts) or len(set(parts)) < len(parts):
        raise InputError(f"seeds {text!r}: give different whole numbers with commas between them, as in 0,1,2")
    return tuple(map(int, parts))
