"""The commands that learn from labels: other people's supervised methods, and ours told who is who."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from trainer.baselines import PRESETS, BaselineConfig
from trainer.commands.common import count_workers, device_option, find_device, workers_option
from trainer.commands.train import start_training, training_options
from trainer.settings import settings_options


@click.command()
@click.option("--dataset", default=None, help="benchmark to train on; by default the one last synced, else walkers")
@click.option(
    "--data-root", type=click.Path(path_type=Path), default=None, help="its folder; by default in work/datasets"
)
@click.option("--run", "name", default=None, help="name of the run; by default from data set, method and seed")
@click.option("--preset", type=click.Choice(list(PRESETS)), default=None, help="settings to start from")
@device_option
@workers_option
@settings_options(BaselineConfig, PRESETS)
def baseline(
    dataset: str | None,
    data_root: Path | None,
    name: str | None,
    preset: str | None,
    device: str,
    workers: int | None,
    **settings: Any,
) -> None:
    """Train a supervised method, which learns from people's names; the same command again goes on where it stopped.

    Settings are the method's own, then those of the preset (the data set's own if it has one), then single options.
    """
    from trainer.supervised.choice import choose
    from trainer.supervised.training import train_baseline

    given = {key: value for key, value in settings.items() if value is not None}
    config, benchmark = choose(dataset, data_root, name, preset, given)
    place = find_device(device)
    train_baseline(config, benchmark, name, place, count_workers(workers, place))


@click.command()
@training_options
def oracle(**options: Any) -> None:
    """Train as `train` does, but told who is in each photo, in the place of clusters: what better labels would give.

    Settings and shards are chosen as `train` chooses them.
    """
    from trainer.supervised.oracle import OracleTrainer

    start_training(OracleTrainer, **options)
