"""Command line of the trainer: train on shards, evaluate a run."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import click
import torch

from data import open_benchmark
from data.runtime.allocator import keep_freed_memory
from data.runtime.console import OneLineGroup
from data.runtime.errors import InputError, RunError
from data.shards import Manifest, SyncStore, newest_store
from trainer import loop, runs
from trainer.batches.groups import died_line, reader_died
from trainer.config import PRESETS, Config, make_config, options
from trainer.distributed import processes as distributed
from trainer.encoder.encoder import make_encoder
from trainer.encoder.features import memory_format
from trainer.observers.judge import Extractor, Judge, people_of
from trainer.observers.logs import Board, RunLog, Silence, TensorBoard, WandB
from trainer.ranking.draws import load_draws
from trainer.ranking.draws import save_draws as write_draws
from trainer.ranking.evaluation import Measurement, evaluate_benchmark
from trainer.ranking.results import add_results, format_results
from trainer.studies.worth import arms, format_worth, measure


@click.group(cls=OneLineGroup)
def main() -> None:
    """Learn features of people from synchronised groups of images, without labels."""
    keep_freed_memory()


def device_option(command: Any) -> Any:
    """Give a command --device."""
    text = "cpu, cuda or cuda:N; by default a GPU if there is one"
    return click.option("--device", default="", help=text)(command)


def workers_option(command: Any) -> Any:
    """Give a command --workers."""
    text = "processes that read ahead; by default 4 for a GPU and none for a CPU"
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
@click.option("--wandb", is_flag=True, help="figures and pictures for wandb")
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
    given = {key: value for key, value in settings.items() if value is not None}
    unfinished = runs.Run(runs.WORK / "runs" / name) if name else None
    if unfinished and (unfinished.folder / "config.json").exists() and not (preset or file or given):
        newest = newest_store(runs.WORK / "sync", dataset) if dataset else unfinished.sync
        config, folder = unfinished.config, sync or newest
    else:
        config, folder = _settings(sync, dataset, preset, file, given)
    store = SyncStore(folder)
    manifest = store.manifest
    target = runs.WORK / "runs" / (name or f"{manifest.dataset}-{config.digest[:8]}")
    place = choose_device(device)
    with distributed.process_group(place):
        run = distributed.from_first(
            runs.start(target, config, folder.absolute(), manifest, place) if distributed.rank() == 0 else None
        )
        first = distributed.rank() == 0
        if run.facts["finished"]:
            if first:
                click.echo(f"run {run.name} is finished ({run.folder}): evaluate it, or give another run name or seed")
            return
        readers = _workers(workers, place)
        observer: loop.Observer = Silence()
        if first:
            click.echo(f"run {run.name}: {len(store)} photos of {manifest.dataset}, settings {config.digest}, {place}")
            boards: list[Board] = [TensorBoard(run, store)] if tensorboard else []
            boards += [WandB(run, store, config)] if wandb else []
            observer = RunLog(run, config, _judge(manifest, store, config, place, readers), boards)
        try:
            loop.train(config, store, run, place, observer, readers)
        except RuntimeError as error:
            if reader_died(error):
                raise RunError(died_line(error)) from error
            if config.compile and isinstance(error, torch._dynamo.exc.TorchDynamoException):
                reason = str(error).strip().splitlines()[0]
                raise InputError(f"this machine cannot compile the encoder ({reason}): leave out --compile") from error
            raise
        if first:
            runs.finish(run)
            click.echo(f"run {run.name} is finished: {run.folder}")


@main.command("eval")
@click.option("--run", "name", default=None, help="name of the run; by default the last one")
@click.option("--checkpoint", type=click.Choice(["last", "best"]), default="last", help="which encoder of the run")
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
    run = runs.find_run(name) if name else runs.last_run()
    config, facts = run.config, run.facts
    dataset = dataset or facts["dataset"]
    own = facts["root"] if dataset == facts["dataset"] else runs.WORK / "datasets" / dataset
    benchmark = open_benchmark(dataset, data_root or own)
    if save_draws:
        write_draws(save_draws, benchmark)
    place = choose_device(device)
    state = _checkpoint(run, checkpoint)
    encoder, _ = make_encoder(config.backbone, "none", config.last_stride, (config.height, config.width))
    encoder.load_state_dict(state["encoder"])
    encoder.to(place).to(memory_format=memory_format(config.channels_last))
    results = evaluate_benchmark(
        benchmark,
        Extractor(encoder, config, place, _workers(workers, place), flip),
        Measurement(
            split, rerank, flip, trained_on=facts["dataset"], draws=load_draws(draws, benchmark) if draws else None
        ),
    )
    path = run.folder / "results.json"
    add_results(path, results)
    click.echo(f"run {run.name}, {checkpoint} encoder, after {state['epoch']} of {config.epochs} epochs")
    click.echo(format_results(results))
    click.echo(f"written to {path}")


@main.command(context_settings={"ignore_unknown_options": True})
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="trainings of each arm")
@click.option(
    "--split", type=click.Choice(["test", "validation"]), default="test", show_default=True, help="which people"
)
@click.option("--keep-person", is_flag=True, help="also shards made by `make sync` with --keep-person")
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def worth(seeds: int, split: str, keep_person: bool, options: tuple[str, ...]) -> None:
    """Compare on walkers: the baseline, the generator's redrawn photos and ideal ones; OPTIONS go to every training."""
    compared = arms(runs.WORK / "sync", keep_person)
    measured = {arm.name: [measure(arm, seed, split, options) for seed in range(seeds)] for arm in compared}
    for shots in ("single-shot", "multi-shot"):
        click.echo("\n" + format_worth(measured, shots))


def choose_device(name: str) -> torch.device:
    """The device of this name, or the best there is; of torchrun's processes each gets its own GPU."""
    if not name:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"device {name!r} is not known: give cpu, cuda or cuda:N") from error
    if device.type == "cuda":
        count = torch.cuda.device_count()
        if device.index is None:
            device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
        if (device.index or 0) >= count:
            raise InputError(f"device {device} is not there: this machine shows {count} GPUs")
        torch.cuda.set_device(device)
    elif device.type != "cpu":
        raise InputError(f"device {name!r} is not one this runs on: give cpu, cuda or cuda:N")
    return device


def _workers(given: int | None, device: torch.device) -> int:
    return given if given is not None else 4 if device.type == "cuda" else 0


def _settings(
    sync: Path | None, dataset: str | None, preset: str | None, file: Path | None, given: dict[str, Any]
) -> tuple[Config, Path]:
    """Settings and shards of a new run, from what was said on the command line."""
    settings: dict[str, Any] = {}
    if file:
        config, folder = runs.read_config(file)
        settings = dataclasses.asdict(config)
        sync = sync or (None if dataset else folder)
    sync = sync or newest_store(runs.WORK / "sync", dataset)
    named = SyncStore(sync).manifest.dataset
    return make_config(preset or (named if named in PRESETS else "paper"), settings, given), sync


def _judge(manifest: Manifest, store: SyncStore, config: Config, device: torch.device, workers: int) -> Judge | None:
    """Whoever knows what labels the data set has, if its folder is where it was."""
    try:
        benchmark = open_benchmark(manifest.dataset, manifest.root)
    except InputError as error:
        click.echo(f"no labels to report cluster quality by: {error}")
        return None
    people = people_of(benchmark, store)
    if people is None:
        click.echo("who is in the photos is not known of all: training needs no labels, clusters are not rated by them")
    return Judge(benchmark, people, config, device, workers)


def _checkpoint(run: runs.Run, which: str) -> dict[str, Any]:
    if which == "best":
        path = run.folder / "best.pt"
        if not path.exists():
            raise InputError(f"run {run.name} has no best.pt: train with --validate-every, or take the last encoder")
        return runs.read_checkpoint(path)
    state, damaged = run.load()
    for line in damaged:
        click.echo(line)
    if state is None:
        raise InputError(f"run {run.name} has no checkpoint yet: train it first")
    return state


if __name__ == "__main__":
    main()
