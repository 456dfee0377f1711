"""A run, as a report speaks of it: what its folder keeps."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from data import open_benchmark
from data.benchmark import Benchmark
from data.photo import name_below
from data.record import ImageRecord
from data.runtime.errors import InputError
from data.shards import SyncStore
from trainer.encoder import Encoder, restore_encoder
from trainer.ranking import Result, read_results
from trainer.runs import Run


@dataclass(frozen=True)
class Subject:
    """A run and what it keeps.

    Attributes:
        run: its folder.
        settings: all of them, by name.
        facts: what run.json says.
        history: the record of each epoch.
        epoch: epochs that the encoder was trained.
        encoder: the trained one.
        labels: pseudo labels of the last clustering, int64 (N,), noise -1; empty where none are kept.
        results: those of results.json.
        store: its shards; None where they are gone, and for a baseline, which has none.
        benchmark: the data set that the shards were made from; None where it is gone.
        records: the photos of the store with their labels, those unknown None; empty without a store.
        notes: a line for whatever is missing.
    """

    run: Run
    settings: dict[str, Any]
    facts: dict[str, Any]
    history: list[dict[str, float]]
    epoch: int
    encoder: Encoder
    labels: np.ndarray
    results: tuple[Result, ...]
    store: SyncStore | None
    benchmark: Benchmark | None
    records: tuple[ImageRecord, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def name(self) -> str:
        """Give the run's name."""
        return self.run.name


def read_subject(run: Run, checkpoint: str, device: str) -> Subject:
    """Read a run; of its shards, data set and results those that are still there.

    Args:
        run: the run.
        checkpoint: `last` or `best`, whose encoder is taken.
        device: where the encoder shall be.

    Raises:
        InputError: the run has no such checkpoint, or it is damaged.
    """
    content, notes = run.checkpoint(checkpoint), []
    path = run.folder / "results.json"
    try:
        results = read_results(path) if path.exists() else ()
    except InputError as error:
        results = ()
        notes.append(str(error))
    store: SyncStore | None = None
    benchmark: Benchmark | None = None
    try:
        store = SyncStore(run.sync) if run.sync != Path() else None
    except InputError as error:
        notes.append(f"Without its shards nothing is shown of the training photos: {error}")
    try:
        benchmark = open_benchmark(str(run.facts["dataset"]), run.place)
    except InputError as error:
        notes.append(f"Without its data set nobody knows who is in the photos, and nothing is ranked anew: {error}")
    records = _records(store, benchmark) if store else ()
    labels = content.get("labels")
    known = labels.numpy() if labels is not None and len(labels) == len(records) else np.empty(0, np.int64)
    if labels is not None and store and not len(known):
        notes.append("Its shards hold other photos than it was trained on, so its clusters are not shown.")
    return Subject(
        run,
        dataclasses.asdict(run.config),
        run.facts,
        list(content.get("history", [])),
        int(content["epoch"]),
        restore_encoder(run.config, content, device).eval(),
        known,
        results,
        store,
        benchmark,
        records,
        tuple(f"{run.name}: {note}" for note in notes),
    )


def differing(subjects: Sequence[Subject]) -> list[str]:
    """Name the settings in which runs differ."""
    names = dict.fromkeys(name for subject in subjects for name in subject.settings)
    return [name for name in names if len({repr(subject.settings.get(name)) for subject in subjects}) > 1]


def _records(store: SyncStore, benchmark: Benchmark | None) -> tuple[ImageRecord, ...]:
    root = benchmark.root if benchmark else Path(store.manifest.root)
    known = {name_below(record.path, root): record for record in benchmark.train} if benchmark else {}
    names = [store.source(number) for number in range(len(store))]
    return tuple(known.get(name) or ImageRecord(root / name) for name in names)
