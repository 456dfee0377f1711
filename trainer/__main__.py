"""Command line of the trainer: train on shards, evaluate a run, use its encoder."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from data.runtime.allocator import keep_freed_memory
from data.runtime.console import OneLineGroup
from data.runtime.logs import get_logger, log_to_console
from data.runtime.places import FEATURES, RUNS, SEARCHES, STORES
from trainer.config import options
from trainer.presets import PRESETS

if TYPE_CHECKING:
    import torch

    from trainer.runs import Run

_GPU_READERS = 4
"""Processes that read ahead for a GPU: fewer let it wait for data, more do not help it."""

_ENDINGS = {"onnx": "onnx", "torchscript": "pt", "safetensors": "safetensors"}
"""How the file of an encoder ends, in each format."""

# `python -m trainer` gives this module the name __main__.
_log = get_logger("trainer.command")


@click.group(cls=OneLineGroup)
def main() -> None:
    """Learn features of people from synchronised groups of images, without labels."""
    keep_freed_memory()


def device_option(command: Any) -> Any:
    """Give a command --device."""
    text = "cpu, cuda or cuda:N; by default a GPU if there is one"
    return click.option("--device", default="", help=text)(command)


def run_option(command: Any) -> Any:
    """Give a command --run."""
    return click.option("--run", "name", default=None, help="name of the run; by default the last one")(command)


def checkpoint_option(command: Any) -> Any:
    """Give a command --checkpoint."""
    kinds = click.Choice(["last", "best"])
    return click.option("--checkpoint", type=kinds, default="last", help="which encoder of the run")(command)


def workers_option(command: Any) -> Any:
    """Give a command --workers."""
    text = f"processes that read ahead; by default {_GPU_READERS} for a GPU and none for a CPU"
    return click.option("--workers", type=click.IntRange(0), default=None, help=text)(command)


@main.command()
@click.option(
    "--sync", type=click.Path(path_type=Path), default=None, help="folder of shards; by default the last made"
)
@click.option("--dataset", default=None, help="data set whose last shards are taken")
@click.option("--run", "name", default=None, help="name of the run; by default from the data set and the settings")
@click.option("--preset", type=click.Choice(list(PRESETS)), default=None, help="settings to start from")
@click.option(
    "--config", "file", type=click.Path(path_type=Path), default=None, help="config.json of a run, to do the same again"
)
@device_option
@workers_option
@click.option("--tensorboard", is_flag=True, help="scalars and pictures for TensorBoard, in the run's folder")
@click.option("--wandb", is_flag=True, help="scalars and pictures for wandb")
@options
def train(
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
    """Train an encoder on a data set's shards; the same command again goes on where it was interrupted.

    Settings come from the preset (the data set's own if it has one, else paper), then --config, then single options.
    """
    from trainer.distributed import one_voice
    from trainer.training import choose_settings, train_run

    given = {key: value for key, value in settings.items() if value is not None}
    with one_voice():
        config, folder = choose_settings(sync, dataset, name, preset, file, given)
        place = _device(device)
        train_run(config, folder, name, place, _workers(workers, place), tensorboard, wandb)


@main.command("eval")
@run_option
@checkpoint_option
@click.option("--dataset", default=None, help="benchmark to rank in; by default the run's own")
@click.option("--data-root", type=click.Path(path_type=Path), default=None, help="its folder; by default the run's own")
@click.option("--split", type=click.Choice(["test", "validation"]), default="test", help="whose people")
@click.option("--rerank", is_flag=True, help="k-reciprocal re-ranking")
@click.option("--flip", is_flag=True, help="mean feature of a photo and its mirror image")
@click.option("--draws", type=click.Path(path_type=Path), default=None, help="file of single-shot galleries to use")
@click.option("--save-draws", type=click.Path(path_type=Path), default=None, help="write the galleries drawn to a file")
@device_option
@workers_option
def evaluate(
    name: str | None,
    checkpoint: str,
    dataset: str | None,
    data_root: Path | None,
    split: str,
    rerank: bool,
    flip: bool,
    draws: Path | None,
    save_draws: Path | None,
    device: str,
    workers: int | None,
) -> None:
    """Rank a benchmark's galleries with a run's encoder: CMC, mAP and mINP in each setting, also to results.json."""
    from data import open_benchmark
    from data.runtime.places import dataset_root
    from trainer import ranking
    from trainer.encoder import restore_encoder

    run = _run(name)
    config, facts = run.config, run.facts
    own = data_root or (run.place if dataset in (None, facts["dataset"]) else None)
    dataset = dataset or str(facts["dataset"])
    benchmark = open_benchmark(dataset, dataset_root(dataset, own))
    if save_draws:
        ranking.save_draws(save_draws, benchmark)
    place = _device(device)
    content = run.checkpoint(checkpoint)
    _log.info(f"{benchmark.name} in {benchmark.place}")
    encoder, readers = restore_encoder(config, content, place), _workers(workers, place)
    given = ranking.load_draws(draws, benchmark) if draws else None
    origin = ranking.find_origin(facts, benchmark, checkpoint, content["epoch"], encoder.digest)
    measurement = ranking.Measurement(split, rerank, flip, origin, given)
    results = ranking.evaluate_benchmark(
        benchmark, lambda records: encoder.embed([record.path for record in records], readers, flip), measurement
    )
    for protocol, why in ranking.unmeasured(benchmark, measurement).items():
        _log.warning(f"{protocol} is left out: {why}")
    _log.info(f"run {run.name}, {checkpoint} encoder, after {content['epoch']} of {config.epochs} epochs")
    click.echo(ranking.format_results(results))
    # Printed before: a file that cannot be written costs no numbers.
    path = run.folder / "results.json"
    ranking.add_results(path, results)
    _log.info(f"written to {path}")


@main.command()
@run_option
@checkpoint_option
@click.option("--query", type=click.Path(path_type=Path), required=True, help="a photo, or a folder of photos")
@click.option("--gallery", type=click.Path(path_type=Path), required=True, help="folder of photos to search in")
@click.option("--top", type=click.IntRange(1), default=10, show_default=True, help="photos to give for a query")
@click.option("--json", "plain", is_flag=True, help="print JSON and nothing else, for programs")
@device_option
@workers_option
def search(
    name: str | None,
    checkpoint: str,
    query: Path,
    gallery: Path,
    top: int,
    plain: bool,
    device: str,
    workers: int | None,
) -> None:
    """Search a folder for the photos most like a query; the folder is indexed once, then kept in step."""
    from trainer import use
    from trainer.encoder import Encoder

    if plain:
        log_to_console(logging.WARNING)
    run, place = _run(name), _device(device)
    encoder = Encoder.load(run.folder, checkpoint, str(place))
    index = use.update_index(use.index_path(run, checkpoint, gallery), encoder, gallery, _workers(workers, place))
    answers = use.search(encoder, query, gallery, index, top)
    strip = use.write_strip(SEARCHES / "strip.png", answers)
    if plain:
        click.echo(json.dumps({"run": run.name, "strip": str(strip), "answers": use.as_json(answers)}, indent=1))
    else:
        click.echo(use.format_answers(answers))
        _log.info(f"run {run.name}, {checkpoint} encoder, {len(index.names):,} photos; to look at: {strip}")


@main.command()
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

    run, place = _run(name), _device(device)
    output = output or FEATURES / f"{run.name}-{gallery.absolute().name}.h5"
    encoder = Encoder.load(run.folder, checkpoint, str(place))
    written = write_features(output, encoder, gallery, _workers(workers, place))
    _log.info(f"run {run.name}, {checkpoint} encoder: features of {written:,} photos written to {output}")


@main.command()
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

    run = _run(name)
    content = run.checkpoint(checkpoint)
    encoder = restore_encoder(run.config, content)
    output = output or run.folder / "export" / f"encoder.{_ENDINGS[kind]}"
    notes = {"run": run.name, "backbone": run.config.backbone, "epoch": str(content["epoch"])}
    for key, text in export_encoder(output, encoder, kind, notes).items():
        _log.info(f"{key}: {text}")
    _log.info(f"written to {output}")


@main.command("runs")
def list_runs() -> None:
    """List all runs: data set, epochs, R1 in the first protocol they were evaluated in, and how they differ."""
    from trainer.studies import overview

    click.echo(overview.format_entries(overview.entries(RUNS)))


@main.command("clean-runs")
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
        overview.remove(found)
    _log.info(f"{len(found):,} removed" if yes else "nothing was removed: make clean-runs ARGS=--yes removes them")


@main.command(context_settings={"ignore_unknown_options": True})
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


def _run(name: str | None) -> Run:
    """Find the run of this name, or the last one."""
    from trainer import runs

    return runs.find_run(name) if name else runs.last_run()


def _device(name: str) -> torch.device:
    """Choose the device; of torchrun's processes each gets its own GPU."""
    import os

    import torch

    from data.runtime.devices import choose_device

    device = torch.device(choose_device(name, torch.cuda.device_count(), int(os.environ.get("LOCAL_RANK", 0))))
    if device.type == "cuda":
        torch.cuda.set_device(device)
    return device


def _workers(given: int | None, device: torch.device) -> int:
    from data.runtime.processes import processes_work

    workers = given if given is not None else _GPU_READERS if device.type == "cuda" else 0
    return workers if workers == 0 or processes_work() else 0


if __name__ == "__main__":
    main()
