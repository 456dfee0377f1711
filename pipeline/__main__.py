"""Command line of the pipeline: redraw a data set, look at the result, verify it."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import torch

import data
from data.annotation import Region
from data.runtime.allocator import keep_freed_memory
from data.runtime.console import OneLineGroup
from data.runtime.errors import InputError
from data.shards import SyncStore, newest_store, read_manifest
from data.shards import verify as verify_store
from pipeline.annotate.annotator import Annotator
from pipeline.annotate.choose import choose_annotator
from pipeline.annotate.label_spaces import LABEL_SPACES
from pipeline.framing import PADDINGS, Canvas
from pipeline.outfits import templates as clothing
from pipeline.paint.ideal import IdealPainter
from pipeline.paint.pise import CUTS, PRECISIONS, Painter, PisePainter
from pipeline.pise.fitting import fit
from pipeline.pise.fitting.training import PiseSettings
from pipeline.preview import figures, line
from pipeline.preview import preview as make_preview
from pipeline.sync import run as syncing

WORK = Path("work")
WALKERS_WEIGHTS = Path(__file__).parent / "pise" / "walkers.safetensors"

_SIZES = {"walkers": (64, 32)}
_SIZE = (256, 128)


class Size(click.ParamType[tuple[int, int]]):
    """HEIGHTxWIDTH in pixels."""

    name = "HxW"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Read it; a tuple is taken as it is."""
        if isinstance(value, tuple):
            return value
        found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", value)
        if not found:
            self.fail(f"{value!r} is no size: give height and width, as in 256x128", param, ctx)
        return int(found[1]), int(found[2])


def annotating(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say where pose and parsing come from, and give the command `annotations` in their place."""

    @click.option("--parsing", type=click.Path(path_type=Path), help="folder of parsing PNGs; say their --labels")
    @click.option("--labels", type=click.Choice(sorted(LABEL_SPACES)), help="what the parsing's labels mean")
    @click.option("--keypoints", type=click.Path(path_type=Path), help="folder of OpenPose JSON files, or a CSV file")
    @click.option("--parsing-model", help="SegFormer made for clothes: its name on the hub, or a folder")
    @click.option("--pose-model", help="ViTPose: its name on the hub, or a folder")
    @functools.wraps(command)
    def annotated(
        parsing: Path | None,
        labels: str | None,
        keypoints: Path | None,
        parsing_model: str | None,
        pose_model: str | None,
        **others: Any,
    ) -> None:
        choice: dict[str, Any] = {
            "parsing": parsing and parsing.absolute(),
            "labels": labels,
            "keypoints": keypoints and keypoints.absolute(),
        }
        command(annotations={**choice, "parsing_model": parsing_model, "pose_model": pose_model}, **others)

    return annotated


def planning(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say what is to be redrawn, and give the command the plan in their place."""

    @click.option(
        "--dataset", type=click.Choice(data.names()), help="which data set; by default the one of the last store"
    )
    @click.option("--data-root", type=click.Path(path_type=Path), help="its folder; by default work/datasets/<dataset>")
    @click.option("--size", type=Size(), help="of the store's images; by default 256x128, for walkers 64x32")
    @click.option("-s", "--versions", type=click.IntRange(1), default=4, show_default=True, help="S, outfits a photo")
    @click.option(
        "--weights", type=click.Path(path_type=Path), help="PISE checkpoint; for walkers there is one built in"
    )
    @click.option(
        "--templates", type=click.Path(path_type=Path), help="folder of clothed people; by default training photos"
    )
    @click.option("--bank", type=click.IntRange(1), help="draw each photo's S outfits from this many templates")
    @click.option("--regions", default="3,4,5", show_default=True, help="labels of the regions that change")
    @click.option(
        "--cut",
        type=click.Choice(CUTS),
        help="of the clothes; by default the template's if the weights are made for it",
    )
    @click.option("--keep-person", is_flag=True, help="keep all but the clothes as the photo's own pixels")
    @click.option("--canvas", type=Size(), help="what the generator paints on; by default as its weights were made")
    @click.option("--padding", type=click.Choice(PADDINGS), default="edge", show_default=True, help="of a --canvas")
    @click.option(
        "--precision", type=click.Choice(PRECISIONS), default="float32", show_default=True, help="of painting"
    )
    @click.option("--device", default="", help="cpu, cuda or cuda:N; by default a GPU if there is one")
    @click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="of the choice of templates")
    @click.option(
        "--painter",
        "kind",
        type=click.Choice(["pise", "ideal"]),
        default="pise",
        show_default=True,
        help="ideal renders walkers anew in the clothes that the generator would paint",
    )
    @annotating
    @functools.wraps(command)
    def planned(
        dataset: str | None,
        data_root: Path | None,
        size: tuple[int, int] | None,
        versions: int,
        weights: Path | None,
        templates: Path | None,
        bank: int | None,
        regions: str,
        cut: str | None,
        keep_person: bool,
        canvas: tuple[int, int] | None,
        padding: str,
        precision: str,
        device: str,
        seed: int,
        kind: str,
        annotations: dict[str, Any],
        **others: Any,
    ) -> None:
        dataset = dataset or _last_dataset()
        # Workers of a cluster may stand in another folder.
        benchmark = data.open_benchmark(dataset, (data_root or WORK / "datasets" / dataset).absolute())
        painter = PisePainter(
            _weights(dataset, weights).absolute(),
            benchmark.root,
            _annotator(benchmark.root, dataset, _device(device), **annotations),
            clothing.TemplateChoice(bank or versions, templates, seed),
            versions=versions,
            size=size or _SIZES.get(dataset, _SIZE),
            canvas=Canvas(*canvas, padding) if canvas else None,
            regions=_regions(regions),
            keep=keep_person,
            precision=precision,
            device=_device(device),
            cut=cut,
        )
        chosen: Painter = IdealPainter(painter) if kind == "ideal" else painter
        photos = [record.path for record in benchmark.train]
        command(job=syncing.plan(dataset, benchmark.root, photos, chosen, WORK / "sync"), **others)

    return planned


@click.group(cls=OneLineGroup)
def main() -> None:
    """Redraw every photo of a data set in other clothes, once, into shards that training reads."""
    keep_freed_memory()


@main.command()
@planning
@click.option("--jobs", type=click.IntRange(1), help="processes; by default one a core, or a single one on a GPU")
@click.option("--cluster", help="address of a Dask scheduler, as in tcp://host:8786, whose workers shall do it")
def sync(job: syncing.Plan, jobs: int | None, cluster: str | None) -> None:
    """Redraw the training photos of a data set; the same command again goes on where it was interrupted."""
    cores = os.cpu_count() or 1
    if jobs is None:
        jobs = cores if job.painter.device == "cpu" else 1
    click.echo(f"{len(job.sources):,} photos in {job.painter.versions} versions, {len(job.tasks)} shards: {job.folder}")
    manifest, made = syncing.run(job, jobs, cluster)
    failures, alone = manifest.failures, manifest.photos - manifest.redrawn
    for _, reason in failures[:5]:
        click.echo(f"warning: {reason}", err=True)
    if failures:
        click.echo(
            f"warning: {len(failures):,} photos could not be read and are left out (see manifest.json)", err=True
        )
    if alone:
        click.echo(
            f"warning: in {alone:,} photos no person was found; their versions are copies (see manifest.json)", err=True
        )
    done = f"{made} of {len(job.tasks)} shards made now" if made else "complete already, nothing to do"
    click.echo(f"{manifest.redrawn:,} photos redrawn ({done})")


@main.command("templates")
@planning
def show_templates(job: syncing.Plan) -> None:
    """Choose the clothing templates that `sync` with the same options takes, and show them."""
    syncing.prepare(job)
    click.echo("\n".join(clothing.load(job.folder).photos))
    click.echo(f"contact sheet: {job.folder / clothing.SHEET}")


@main.command()
@click.argument("store", type=click.Path(path_type=Path), required=False)
@click.option("--dataset", help="take the last store of this data set")
@click.option("--rows", type=click.IntRange(1), default=6, show_default=True, help="photos a contact sheet")
def preview(store: Path | None, dataset: str | None, rows: int) -> None:
    """Show photos of each shard beside their versions, on a page with figures; by default of the last store made."""
    opened = SyncStore(store or newest_store(WORK / "sync", dataset))
    page = make_preview(opened, rows)
    for name, photos in opened.shards:
        if photos:
            click.echo(line(figures(opened, name, photos)))
    click.echo(f"page: {page}")


@main.command()
@click.argument("store", type=click.Path(path_type=Path), required=False)
@click.option("--dataset", help="take the last store of this data set")
@click.option("--photos/--no-photos", default=True, show_default=True, help="compare with the photos on disk, too")
def verify(store: Path | None, dataset: str | None, photos: bool) -> None:
    """Read every byte of a store and say what is damaged; by default of the last store made."""
    folder = store or newest_store(WORK / "sync", dataset)
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
@click.option("--data-root", type=click.Path(path_type=Path), help="its folder; by default work/datasets/<dataset>")
@click.option("--scenes", type=click.IntRange(2), help="scenes to render, or the most photos to read; by default 6000")
@click.option("--size", type=Size(), help="of the pictures; by default 256x128, for walkers 128x64")
@click.option("--width", type=click.IntRange(1), help="channels; by default 32, for walkers 16 (PISE's authors: 64)")
@click.option("--steps", type=click.IntRange(1), help="of training; by default 20000, for walkers 12000")
@click.option("--batch", type=click.IntRange(2), help="examples a step; by default 10")
@click.option(
    "--vgg-weights", type=click.Path(path_type=Path), help="of torchvision's vgg19: adds perceptual and style losses"
)
@click.option("--same-clothes", is_flag=True, help="learn from other photos in the same clothes, by the labels")
@click.option("--device", default="", help="cpu, cuda or cuda:N; by default a GPU if there is one")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="of all that is drawn")
@click.option("--jobs", type=click.IntRange(1), default=os.cpu_count() or 1, help="that render; by default one a core")
@annotating
def pise(
    dataset: str,
    data_root: Path | None,
    vgg_weights: Path | None,
    same_clothes: bool,
    device: str,
    jobs: int,
    annotations: dict[str, Any],
    **given: Any,
) -> None:
    """Fit a generator for `sync --weights`; the same command again goes on where it was interrupted."""
    folder, on = WORK / "pise" / dataset, torch.device(_device(device))
    if dataset == "walkers":
        if data_root or vgg_weights or same_clothes or any(annotations.values()):
            raise InputError("walkers are rendered with exact targets: leave --data-root and the options of photos out")
        weights, fidelity = fit.fit_scenes(fit.adjust(PiseSettings(), **given), folder, on, jobs)
        click.echo(str(fidelity))
    else:
        benchmark = data.open_benchmark(dataset, data_root or WORK / "datasets" / dataset)
        settings = fit.adjust(fit.PhotoSettings(same_clothes=same_clothes), **given)
        annotator = _annotator(benchmark.root, dataset, str(on), **annotations)
        weights = fit.fit_photos(benchmark, annotator, settings, folder, on, vgg_weights)
    click.echo(f"weights: {weights} (look at {folder}/samples.png)")


def _last_dataset() -> str:
    """The data set of the store that was made last, or walkers."""
    try:
        return read_manifest(newest_store(WORK / "sync")).dataset
    except InputError:
        return "walkers"


def _weights(dataset: str, given: Path | None) -> Path:
    if given:
        return given
    if dataset == "walkers":
        return WALKERS_WEIGHTS
    raise InputError(
        "no generator weights: give the texture-transfer checkpoint that PISE's authors publish (latest_net_G.pth), or "
        "one trained by `make pise`, as WEIGHTS"
    )


def _annotator(root: Path, dataset: str, device: str, **choice: Any) -> Annotator:
    return choose_annotator(root, (WORK / "annotations" / dataset).absolute(), device=device, **choice)


def _regions(given: str) -> tuple[int, ...]:
    known = range(1, len(Region))
    try:
        regions = tuple(sorted({int(label) for label in given.split(",")}))
    except ValueError:
        regions = ()
    if not regions or not set(regions) <= set(known):
        listed = ", ".join(f"{label} {Region(label).title}" for label in known)
        raise InputError(f"--regions {given}: give labels with commas between, of {listed}")
    return regions


def _device(name: str) -> str:
    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
    except RuntimeError:
        raise InputError(f"device {name!r} is unknown: give cpu, cuda or cuda:N") from None
    if device.type not in ("cpu", "cuda"):
        raise InputError(f"device {name!r} cannot be used: give cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(f"device {name!r} is not there: this machine shows {torch.cuda.device_count()} GPUs")
    return str(device)


if __name__ == "__main__":
    main()
