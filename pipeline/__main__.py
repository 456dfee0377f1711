"""Command line of the pipeline: redraw a data set, look at the result, verify it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

import data
from data.runtime.allocator import keep_freed_memory
from data.runtime.console import OneLineGroup
from data.runtime.errors import InputError
from data.runtime.options import PATH, Size, settings_option
from data.runtime.places import GENERATORS, PARSERS, STORES, dataset_root
from pipeline.settings import AnnotationSettings, SyncSettings

# Whatever imports torch is imported by the commands that need it: help is asked for more often than a sync.


@click.group(cls=OneLineGroup)
def main() -> None:
    """Redraw every photo of a data set in other clothes, once, into shards that training reads."""
    keep_freed_memory()


@main.command()
@settings_option(SyncSettings, "settings")
@click.option("--jobs", type=click.IntRange(1), help="processes; by default one a core, or a single one on a GPU")
@click.option("--cluster", help="address of a Dask scheduler, as in tcp://host:8786, whose workers shall do it")
def sync(settings: SyncSettings, jobs: int | None, cluster: str | None) -> None:
    """Redraw the training photos of a data set; the same command again goes on where it was interrupted."""
    from pipeline.compose import make_plan
    from pipeline.sync import run_sync

    plan = make_plan(settings)
    if jobs is None:
        jobs = (os.cpu_count() or 1) if plan.painter.device == "cpu" else 1
    run_sync(plan, jobs, cluster)


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
    chosen = palette if (plan.folder / palette.FILE).is_file() else templates
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
@click.option("--photos/--no-photos", default=True, show_default=True, help="compare with the photos on disk, too")
def verify(store: Path | None, dataset: str | None, photos: bool) -> None:
    """Read every byte of a store and say what is damaged; by default of the last store made."""
    from data.shards import newest_store, read_manifest
    from data.shards import verify as verify_store

    folder = store or newest_store(STORES, dataset)
    root = Path(read_manifest(folder).root) if photos else None
    faults = 0
    for _, fault in verify_store(folder, root):
        if fault:
            faults += 1
            click.echo(fault, err=True)
    if faults:
        raise InputError(f"{folder}: {faults} of its shards are at fault (named above)")
    click.echo(f"{folder}: all shards are whole")


@main.command()
@click.option(
    "--dataset",
    type=click.Choice(data.names()),
    default="walkers",
    show_default=True,
    help="whose unlabelled training photos to fit to; for walkers, people rendered for it",
)
@click.option("--data-root", type=PATH, help="its folder; by default work/datasets/<dataset>")
@click.option("--scenes", type=click.IntRange(2), help="scenes to render, or the most photos to read; by default 6000")
@click.option("--size", type=Size(), help="of the pictures; by default 256x128, for walkers 128x64")
@click.option("--channels", type=click.IntRange(1), help="of the network; by default 32, walkers 16 (PISE's: 64)")
@click.option("--steps", type=click.IntRange(1), help="of training; by default 20000, for walkers 12000")
@click.option("--batch", type=click.IntRange(2), help="examples a step; by default 10")
@click.option("--vgg-weights", type=PATH, help="of torchvision's vgg19: adds perceptual and style losses")
@click.option("--same-clothes", is_flag=True, help="learn from other photos in the same clothes, by the labels")
@click.option("--device", default="", help="cpu, cuda or cuda:N; by default a GPU if there is one")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="of all that is drawn")
@click.option("--jobs", type=click.IntRange(1), default=os.cpu_count() or 1, help="that render; by default one a core")
@settings_option(AnnotationSettings, "annotations")
def pise(
    dataset: str,
    data_root: Path | None,
    vgg_weights: Path | None,
    same_clothes: bool,
    device: str,
    jobs: int,
    annotations: AnnotationSettings,
    **given: Any,
) -> None:
    """Fit a generator for `sync --weights`; the same command again goes on where it was interrupted."""
    import torch

    from pipeline.compose import find_device, make_annotator
    from pipeline.pise.fitting import fit
    from pipeline.pise.fitting.settings import PhotoSettings, PiseSettings, adjust

    folder, on = GENERATORS / dataset, torch.device(find_device(device))
    if dataset == "walkers":
        if data_root or vgg_weights or same_clothes or annotations.chosen:
            raise InputError("walkers are rendered with exact targets: leave --data-root and the options of photos out")
        weights, fidelity = fit.fit_scenes(adjust(PiseSettings(), **given), folder, on, jobs)
        click.echo(str(fidelity))
    else:
        benchmark = data.open_benchmark(dataset, dataset_root(dataset, data_root))
        settings = adjust(PhotoSettings(same_clothes=same_clothes), **given)
        annotator = make_annotator(annotations, dataset, benchmark.root, str(on))
        weights = fit.fit_photos(benchmark, annotator, settings, folder, on, vgg_weights)
    click.echo(f"weights: {weights} (look at {folder}/samples.png)")


@main.command()
@click.option("--data-root", type=PATH, required=True, help="folder of people with exact regions: pairs/, mannequins/")
@click.option("--steps", type=click.IntRange(1), default=2400, show_default=True, help="of training")
@click.option("--jobs", type=click.IntRange(1), default=os.cpu_count() or 1, help="that render; by default one a core")
def parser(data_root: Path, steps: int, jobs: int) -> None:
    """Fit the built-in parser anew; the same command again goes on where it was interrupted."""
    from pipeline.annotate.parser.fitting import Examples, ParserSettings, Pictures, fit_parser

    settings = ParserSettings(steps=steps)
    weights = fit_parser(lambda: Examples(Pictures.gather(data_root, settings.held_out, jobs)), settings, PARSERS)
    click.echo(f"weights: {weights} (they serve once they lie in place of the built-in ones)")


if __name__ == "__main__":
    main()
