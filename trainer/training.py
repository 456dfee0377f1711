"""A training as the command asks for it: which settings and shards, which run, who watches, and how it may end."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data import open_benchmark
from data.benchmark import Benchmark
from data.lock import locked
from data.photo import photos_digest, sizes_digest
from data.record import paths_of
from data.runtime.errors import InputError, RunError
from data.runtime.logs import get_logger, log_to_folder
from data.runtime.places import RUNS, STORES
from data.shards import SyncStore, compare_photos, newest_store, read_photos
from trainer import distributed, runs
from trainer.baselines import BaselineConfig
from trainer.batches import died_line, reader_died
from trainer.config import Config, make_config
from trainer.loop import Trainer
from trainer.observers import (
    Board,
    Judge,
    RunLog,
    Silence,
    TensorBoard,
    WandB,
    cameras_of,
    people_of,
    validation_problems,
)
from trainer.presets import PRESETS

_OTHERS = 0.5
"""Share of the photos from which on the folder is taken for another data set's; any change at all is said."""

_log = get_logger(__name__)


def choose_settings(
    sync: Path | None,
    dataset: str | None,
    name: str | None,
    preset: str | None,
    file: Path | None,
    given: dict[str, Any],
) -> tuple[Config, Path]:
    """Choose settings and shards: those of the run of this name, if nothing else was asked for, else new ones.

    Args:
        sync: folder of shards.
        dataset: data set whose newest shards are taken where no folder is named.
        name: of the run.
        preset: settings to start from; by default the data set's own, else the paper's.
        file: a run's config.json, whose settings replace the preset's.
        given: settings that replace both.

    Raises:
        InputError: there are no such shards, or a setting is impossible.
    """
    unfinished = runs.Run(RUNS / name) if name else None
    if unfinished and (unfinished.folder / "config.json").exists() and not (preset or file or given):
        return _label_free(unfinished.config, f"run {unfinished.name}"), sync or (
            newest_store(STORES, dataset) if dataset else unfinished.sync
        )
    settings: dict[str, Any] = {}
    if file:
        config, folder = runs.read_config(file)
        settings = dataclasses.asdict(_label_free(config, str(file)))
        sync = sync or (None if dataset else folder)
    sync = sync or newest_store(STORES, dataset)
    named = SyncStore(sync).manifest.dataset
    return make_config(preset or (named if named in PRESETS else "paper"), settings, given), sync


def _label_free(config: Config | BaselineConfig, whose: str) -> Config:
    """Refuse the settings of a training that takes labels."""
    if isinstance(config, BaselineConfig):
        raise InputError(f"{whose} is of a baseline that takes labels ({config.method}): use `make baseline` for it")
    return config


def train_run(
    config: Config,
    folder: Path,
    name: str | None,
    device: torch.device,
    workers: int,
    tensorboard: bool = False,
    wandb: bool = False,
    make_trainer: type[Trainer] = Trainer,
) -> None:
    """Train a run to its end, or say that it is finished; one of the processes that train together speaks for all.

    Args:
        config: the settings.
        folder: the shards.
        name: of the run; by default from the data set and the settings.
        device: what computes.
        workers: processes that read ahead.
        tensorboard: write measures and pictures for TensorBoard.
        wandb: send measures and pictures to wandb.
        make_trainer: what trains.

    Raises:
        RunError: another training is at work on the run, or this one failed.
    """
    store = SyncStore(folder)
    manifest = store.manifest
    taught_by = make_trainer.taught_by
    by = "" if make_trainer is Trainer else f"{taught_by}-"
    run = runs.Run(RUNS / (name or f"{manifest.dataset}-{by}{config.digest[:8]}"))
    with distributed.process_group(device):
        first = distributed.rank() == 0
        runs.check(run, config, manifest, taught_by)
        if distributed.on_first(lambda: run.finished):
            if first:
                runs.start(run.folder, config, folder.absolute(), manifest, device, taught_by)
                _log.info(f"run {run.name} is finished ({run.folder}): evaluate it, or give another run name or seed")
            return
        # Nothing is written before photos, settings, weights and processes were found good.
        benchmark = _benchmark(store)
        changes, foreign = distributed.on_first(lambda: _say_changes(store, benchmark))
        if foreign:
            benchmark = None
        cameras = cameras_of(benchmark, store) if benchmark else None
        trainer = make_trainer(config, store, run, device, Silence(), workers, cameras)
        if not first:
            distributed.wait_for_first()
            _train(trainer)
            return
        boards: list[Board] = [TensorBoard(run, store)] if tensorboard else []
        boards += [WandB(run, store, config)] if wandb else []
        run.folder.mkdir(parents=True, exist_ok=True)
        with locked(run.folder, "training"), log_to_folder(run.folder):
            runs.start(run.folder, config, folder.absolute(), manifest, device, taught_by)
            _log.info(f"run {run.name}: {len(store)} photos of {manifest.dataset}, settings {config.digest}, {device}")
            if run.facts.get("training_photos") is None:
                run.note(training_photos=_photos_digest(store))
            if changes:
                _log.warning(changes)
            judge = _judge(benchmark, store, workers, cameras)
            for line in validation_problems(judge) if config.validate_every else ():
                _log.warning(line)
            trainer.observer = RunLog(run, config, judge, boards)
            distributed.wait_for_first()
            _train(trainer)
            runs.finish(run)
            _log.info(f"run {run.name} is finished: {run.folder}")


def _train(trainer: Trainer) -> None:
    """Train to the end; what torch raises for a user's mistake becomes one line."""
    try:
        trainer.run()
    except RuntimeError as error:
        if reader_died(error):
            raise RunError(died_line(error)) from error
        if trainer.config.compile and isinstance(error, torch._dynamo.exc.TorchDynamoException):
            reason = str(error).strip().splitlines()[0]
            raise InputError(f"this machine cannot compile the encoder ({reason}): leave out --compile") from error
        raise


def _say_changes(store: SyncStore, benchmark: Benchmark | None) -> tuple[str | None, bool]:
    """Say which photos are no longer those that were redrawn; None if all still are, or nothing is known of them.

    With it comes whether so many are others that labels read there would be another data set's.
    """
    record = read_photos(store.path)
    if not record or not benchmark:
        return None, False
    found = compare_photos(record, paths_of(benchmark.train), benchmark.root)
    others = (*found.changed, *found.gone)
    if len(others) >= _OTHERS * len(record):
        return (
            f"{benchmark.root}: {len(others):,} of {len(record):,} photos are not those that were redrawn "
            f"({others[0]}): no label is read there, training takes the photos as they were redrawn"
        ), True
    counted = (("changed", found.changed), ("gone", found.gone), ("new", found.came))
    said = ", ".join(f"{len(names):,} {which} ({names[0]})" for which, names in counted if names)
    if not said:
        return None, False
    return f"{benchmark.root}: photos since the sync: {said}; training takes them as they were redrawn", False


def _photos_digest(store: SyncStore) -> str | None:
    """Say which photos are trained on, those that are in no group among them; None where that cannot be known."""
    record = read_photos(store.path)
    if record:
        return sizes_digest(record.sizes())
    names = [store.source(photo) for photo in range(len(store))]
    return photos_digest(Path(store.manifest.root), [*names, *store.manifest.left_out])


def _benchmark(store: SyncStore) -> Benchmark | None:
    """Open the data set of a store, if its folder is where it was."""
    manifest = store.manifest
    try:
        return open_benchmark(manifest.dataset, manifest.place)
    except InputError as error:
        if distributed.rank() == 0:
            _log.info(f"no labels to report cluster quality by: {error}")
        return None


def _judge(benchmark: Benchmark | None, store: SyncStore, workers: int, cameras: np.ndarray | None) -> Judge | None:
    """Make whoever knows what labels the data set has."""
    if benchmark is None:
        return None
    people = people_of(benchmark, store)
    unknown = len(store) if people is None else int((people < 0).sum())
    if unknown:
        rated = "not rated" if people is None else "rated by the others"
        who = f"who is in {unknown:,} of {len(store):,} photos"
        _log.info(f"{who} is not known: training needs no labels, clusters are {rated}")
    return Judge(benchmark, people, workers, cameras)
