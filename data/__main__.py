"""Command line of the data sets: check one, render the built-in one."""

from __future__ import annotations

import os
from pathlib import Path

import click

from data import check, names, open_benchmark
from data.runtime.console import OneLineGroup
from data.runtime.errors import InputError
from data.runtime.logs import get_logger
from data.runtime.places import DATASETS, dataset_root
from data.walkers.dataset import Recipe, write_walkers
from data.walkers.plain import write_plain

# `python -m data` gives this module the name __main__.
_log = get_logger("data.command")


@click.group(cls=OneLineGroup)
def main() -> None:
    """Read person re-identification data sets."""


@main.command("check")
@click.option(
    "--dataset", default="walkers", type=click.Choice(names()), show_default=True, help="which data set it is"
)
@click.option("--data-root", type=click.Path(path_type=Path), help="its folder; by default work/datasets/<dataset>")
@click.option("--jobs", type=click.IntRange(1), default=os.cpu_count() or 1, help="processes; by default one a core")
def check_dataset(dataset: str, data_root: Path | None, jobs: int) -> None:
    """Say what a data set holds, where it differs from what was published, and which photos cannot be read."""
    benchmark = open_benchmark(dataset, dataset_root(dataset, data_root))
    click.echo(f"{benchmark.name} in {benchmark.root}\n{check.format_summary(benchmark)}")
    for warning in check.warnings(benchmark):
        _log.warning(warning)
    photos = check.all_photos(benchmark)
    opened = check.open_photos(photos, jobs)
    for line in opened.damaged:
        _log.warning(line)
    if opened.transparent:
        _log.info(f"{opened.transparent:,} photos have transparent pixels, which are laid on white")
    if opened.damaged:
        raise InputError(f"{len(opened.damaged):,} of {len(photos):,} photos cannot be read (named above)")
    click.echo(f"all {len(photos):,} photos can be read")


@main.command("walkers")
@click.option(
    "--data-root",
    type=click.Path(path_type=Path),
    default=DATASETS / "walkers",
    show_default=True,
    help="the folder to write",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="other seed, other people")
@click.option("--places", is_flag=True, help="cameras stand in places full of contrast: a harder benchmark")
@click.option("--jobs", type=click.IntRange(1), default=os.cpu_count() or 1, help="processes; by default one a core")
def render_walkers(data_root: Path, seed: int, places: bool, jobs: int) -> None:
    """Render the built-in benchmark of people who change clothes, in PRCC's folder layout."""
    rendered = write_walkers(data_root, Recipe(seed=seed, places=places), jobs)
    _log.info(f"walkers: {'rendered in' if rendered else 'already in'} {data_root} (look at {data_root}/sheet.png)")


@main.command("photos")
@click.option(
    "--data-root",
    type=click.Path(path_type=Path),
    default=DATASETS / "photos",
    show_default=True,
    help="the folder to write",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="other seed, other people")
def render_photos(data_root: Path, seed: int) -> None:
    """Render 24 plain photos of walkers, without labels and annotations, to try one's way with photos on."""
    written = write_plain(data_root, seed)
    _log.info(f"photos: {f'{written} rendered in' if written else 'already in'} {data_root}")


if __name__ == "__main__":
    main()
