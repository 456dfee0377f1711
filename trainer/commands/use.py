"""The commands that use an encoder: search, features, export."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import click

from data.runtime.errors import InputError
from data.runtime.logs import get_logger, log_to_console
from data.runtime.places import FEATURES, SEARCHES
from trainer.commands.common import (
    checkpoint_option,
    count_workers,
    device_option,
    find_device,
    find_run,
    run_option,
    workers_option,
)

_ENDINGS = {"onnx": "onnx", "torchscript": "pt", "safetensors": "safetensors"}
"""How the file of an encoder ends, in each format."""

_log = get_logger("trainer.command")


@click.command()
@run_option
@checkpoint_option
@click.option("--query", type=click.Path(path_type=Path), default=None, help="a photo, or a folder of photos")
@click.option("--gallery", type=click.Path(path_type=Path), required=True, help="folder of photos to search in")
@click.option("--top", type=click.IntRange(1), default=10, show_default=True, help="photos to give for a query")
@click.option("--json", "plain", is_flag=True, help="print JSON and nothing else, for programs")
@click.option("--serve", is_flag=True, help="on a page for the browsers of this machine, where photos can be uploaded")
@click.option("--port", type=click.IntRange(0, 65535), default=8008, show_default=True, help="of that page; 0 for any")
@device_option
@workers_option
def search(
    name: str | None,
    checkpoint: str,
    query: Path | None,
    gallery: Path,
    top: int,
    plain: bool,
    serve: bool,
    port: int,
    device: str,
    workers: int | None,
) -> None:
    """Search a folder for the photos most like a query; the folder is indexed once, then kept in step."""
    from trainer import use
    from trainer.encoder import Encoder

    if query is None and not serve:
        raise InputError("no QUERY: give a photo or a folder of photos, or --serve to upload them on a page")
    if plain:
        log_to_console(logging.WARNING)
    run, place = find_run(name), find_device(device)
    encoder = Encoder.load(run.folder, checkpoint, str(place))
    index = use.update_index(use.index_path(run, checkpoint, gallery), encoder, gallery, count_workers(workers, place))
    origin = f"run {run.name}, {checkpoint} encoder"
    if serve or query is None:
        desk = use.Desk(encoder, gallery, index, top, origin)
        with use.SearchServer(desk, port, desk.ask(query) if query else ()) as server:
            click.echo(f"{origin}: open {server.address} in a browser; Ctrl-C ends it")
            server.serve()
        click.echo("stopped")
        return
    answers = use.search(encoder, query, gallery, index, top)
    strip = use.write_strip(SEARCHES / "strip.png", answers)
    if plain:
        click.echo(json.dumps({"run": run.name, "strip": str(strip), "answers": use.as_json(answers)}, indent=1))
    else:
        click.echo(use.format_answers(answers))
        _log.info(f"{origin}, {len(index.names):,} photos; to look at: {strip}")


@click.command()
@run_option
@checkpoint_option
@click.option("--gallery", type=click.Path(path_type=Path), required=True, help="folder of photos, nested as they come")
@click.option(
    "--output", type=click.Path(path_type=Path), default=None, help="file ending in .h5 or .npz; by default in work/"
)
@device_option
@workers_option
def features(
    name: str | None, checkpoint: str, gallery: Path, output: Path | None, device: str, workers: int | None
) -> None:
    """Write the features of a folder's photos, with their paths, as HDF5 or NPZ."""
    from trainer.encoder import Encoder
    from trainer.use import write_features

    run, place = find_run(name), find_device(device)
    output = output or FEATURES / f"{run.name}-{gallery.absolute().name}.h5"
    encoder = Encoder.load(run.folder, checkpoint, str(place))
    written = write_features(output, encoder, gallery, count_workers(workers, place))
    _log.info(f"run {run.name}, {checkpoint} encoder: features of {written:,} photos written to {output}")


@click.command()
@run_option
@checkpoint_option
@click.option("--format", "kind", type=click.Choice(list(_ENDINGS)), default="onnx", show_default=True)
@click.option(
    "--output", type=click.Path(path_type=Path), default=None, help="the file; by default in the run's folder"
)
def export(name: str | None, checkpoint: str, kind: str, output: Path | None) -> None:
    """Write a run's encoder as one file for other programs, with the preprocessing written into it."""
    from trainer.encoder import restore_encoder
    from trainer.use import export_encoder

    run = find_run(name)
    content = run.checkpoint(checkpoint)
    encoder = restore_encoder(run.config, content)
    output = output or run.folder / "export" / f"encoder.{_ENDINGS[kind]}"
    notes = {"run": run.name, "backbone": run.config.backbone, "epoch": str(content["epoch"])}
    for key, text in export_encoder(output, encoder, kind, notes).items():
        _log.info(f"{key}: {text}")
    _log.info(f"written to {output}")
