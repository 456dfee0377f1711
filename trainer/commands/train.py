"""The command that trains."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trainer.commands.common import count_workers, device_option, find_device, workers_option
from trainer.config import Config
from trainer.presets import PRESETS
from trainer.settings import settings_options

if TYPE_CHECKING:
    from trainer.loop import Trainer

_PATH = click.Path(path_type=Path)


def training_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command what a training on shards can be asked for."""
    options = (
        click.option("--sync", type=_PATH, default=None, help="folder of shards; by default the last made"),
        click.option("--dataset", default=None, help="data set whose last shards are taken"),
        click.option("--run", "name", default=None, help="name of the run; by default from data set and settings"),
        click.option("--preset", type=click.Choice(list(PRESETS)), default=None, help="settings to start from"),
        click.option("--config", "file", type=_PATH, default=None, help="config.json of a run, to do the same again"),
        device_option,
        workers_option,
        click.option("--tensorboard", is_flag=True, help="scalars and pictures for TensorBoard, in the run's folder"),
        click.option("--wandb", is_flag=True, help="scalars and pictures for wandb"),
        settings_options(Config, PRESETS),
    )
    for option in reversed(options):
        command = option(command)
    return command


def start_training(
    make_trainer: type[Trainer] | None,
    sync: Path | None,
    dataset: str | None,
    name: str | None,
    preset: str | None,
    file: Path | None,
    device: str,
    workers: int | None,
    tensorboard: bool,
    wandb: bool,
    **settings: Any,
) -> None:
    """Train as the `training_options` ask for; `make_trainer` is what trains, None for what learns without labels."""
    from trainer.loop import Trainer
    from trainer.training import choose_settings, train_run

    given = {key: value for key, value in settings.items() if value is not None}
    config, folder = choose_settings(sync, dataset, name, preset, file, given)
    place = find_device(device)
    readers = count_workers(workers, place)
    train_run(config, folder, name, place, readers, tensorboard, wandb, make_trainer or Trainer)


@click.command()
@training_options
def train(**options: Any) -> None:
    """Train an encoder on a data set's shards; the same command again goes on where it was interrupted.

    Settings come from the preset (the data set's own if it has one, else paper), then --config, then single options.
    """
    start_training(None, **options)
