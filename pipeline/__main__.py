"""Command line of the pipeline: redraw a data set, look at the result, verify it."""

from __future__ import annotations

import os
from pathlib import Path

import click

from data.runtime.allocator import keep_freed_memory
from data.runtime.console import OneLineGroup
from data.runtime.errors import InputError
from data.runtime.options import PATH, settings_option
from data.runtime.places import PARSERS, STORES
from pipeline.settings import FitSettings, SyncSettings

# Whatever imports torch is imported by the commands that need it: help is asked for more often than a sync.


@click.group(cls=OneLineGroup)
def main() -> None:
    """Redraw every photo of a data set in other clothes, once, into shards that training reads."""
    keep_freed_memory()


@main.command()
@settings_option(SyncSettings, "settings")
@click.option("--jobs", type=click.IntRange(1), help="processes; by default one a core, or a single one on a GPU")
@click.option("--cluster", help="address of a Dask scheduler, as in tcp://host:8786, or its file; its workers do it")
@click.option("--deep", is_flag=True, help="read photos and shards that are there anew, even if nothing wrote to them")
@click.option(
    "--retry-failed", is_flag=True, help="make shards again that lack photos, or have some without an annotation"
)
@click.option("--dry-run", is_flag=True, help="say what would be made, in how many bytes and what time; write nothing")
def sync(
    settings: SyncSettings, jobs: int | None, cluster: str | None, deep: bool, retry_failed: bool, dry_run: bool
) -> None:
    """Redraw the training photos of a data set; the same command again goes on where it was interrupted."""
    from pipeline.compose import make_plan
    from pipeline.sync import foresee, run_sync

    plan = make_plan(settings, deep)
    if dry_run:
        click.echo(str(foresee(plan, deep, retry_failed)))
        return
    if jobs is None:
        jobs = (os.cpu_count() or 1) if plan.painter.device == "cpu" else 1
    run_sync(plan, jobs, cluster, deep, retry_failed)


@main.command("templates")
@settings_option(SyncSettings, "settings")
def show_templates(settings: SyncSettings) -> None:
    """Choose the photos whose clothes or colours `sync` with the same options takes, and show them."""
    from pipeline.compose import make_plan
    from pipeline.outfits import templates
    from pipeline.paint import palette
    from pipeline.sync import prepare_sync

    plan = make_plan(settings)
    prepare_sync(plan)
    for chosen in (templates, palette):
        if (plan.folder / chosen.FILE).is_file():
            click.echo("\n".join(chosen.load(plan.folder).photos))
            click.echo(f"contact sheet: {plan.folder / chosen.SHEET}")


@main.command()
@click.argument("store", type=PATH, required=False)
@click.option("--dataset", help="take the last store of this data set")
@click.option("--rows", type=click.IntRange(1), default=6, show_default=True, help="photos a contact sheet")
def preview(store: Path | None, dataset: str | None, rows: int) -> None:
    """Show photos of each shard beside their versions, on a page with statistics; by default of the last store."""
    from data.shards import SyncStore, newest_store
    from pipeline.preview import in_words, measure, write_preview

    opened = SyncStore(store or newest_store(STORES, dataset))
    page = write_preview(opened, rows)
    for name, photos in opened.shards:
        if photos:
            click.echo(in_words(measure(opened, name, photos)))
    click.echo(f"page: {page}")


@main.command()
@click.argument("store", type=PATH, required=False)
@click.option("--dataset", help="take the last store of this data set")
@click.option("--output", type=PATH, help="CSV file to write, with a row for each photo and version")
def status(store: Path | None, dataset: str | None, output: Path | None) -> None:
    """Say what became of each photo of a store, and why; by default of the last one, finished or not."""
    from pipeline.sync import last_store, report

    folder = store or last_store(STORES, dataset)
    click.echo(str(report(folder, output)))
    if output:
        click.echo(f"each photo and version: {output}")


@main.command()
@click.argument("store", type=PATH, required=False)
@click.option("--dataset", help="take the last store of this data set")
@click.option("--photos/--no-photos", default=True, show_default=True, help="compare the files on disk, too")
def verify(store: Path | None, dataset: str | None, photos: bool) -> None:
    """Read every byte of a store and say what is damaged; by default of the last store made."""
    from data.shards import newest_store, read_manifest
    from data.shards import verify as verify_store
    from pipeline.annotate.on_disk import comparing

    folder = store or newest_store(STORES, dataset)
    manifest, root, annotation = read_manifest(folder), None, None
    if photos:
        root, annotation = Path(manifest.root), comparing(manifest.annotation)
    faults = 0
    for _, fault in verify_store(folder, root, annotation):
        if fault:
            faults += 1
            click.echo(fault, err=True)
    if faults:
        raise InputError(f"{folder}: {faults} of its shards are at fault (named above)")
    click.echo(f"{folder}: all shards are whole")


@main.command()
@settings_option(FitSettings, "settings")
@click.option("--jobs", type=click.IntRange(1), default=os.cpu_count() or 1, help="that render; by default one a core")
def pise(settings: FitSettings, jobs: int) -> None:
    """Fit a generator for `sync --weights`; the same command again goes on where it was interrupted."""
    from pipeline.compose import fit_generator

    weights, fidelity = fit_generator(settings, jobs)
    if fidelity:
        click.echo(str(fidelity))
    click.echo(f"weights: {weights} (look at {weights.parent}/samples.png)")


@main.command()
@click.option("--data-root", type=PATH, required=True, help="folder of people with exact regions: pairs/, mannequins/")
@click.option("--steps", type=click.IntRange(1), default=8000, show_default=True, help="of training")
@click.option("--jobs", type=click.IntRange(1), default=os.cpu_count() or 1, help="that render; by default one a core")
def parser(data_root: Path, steps: int, jobs: int) -> None:
    """Fit the built-in parser anew; the same command again goes on where it was interrupted."""
    from pipeline.annotate.parser.fitting import Examples, ParserSettings, Pictures, fit_parser

    settings = ParserSettings(steps=steps)
    weights = fit_parser(lambda: Examples(Pictures.gather(data_root, settings.held_out, jobs)), settings, PARSERS)
    click.echo(f"weights: {weights} (they serve once they lie in place of the built-in ones)")


if __name__ == "__main__":
    main()
