"""What a baseline is asked to do: by which settings, and on which data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from data import open_benchmark
from data.benchmark import Benchmark
from data.runtime.errors import InputError
from data.runtime.places import RUNS, STORES, dataset_root
from data.shards import finished_stores
from trainer.baselines import PRESETS, BaselineConfig, make_baseline
from trainer.runs import Run

DEFAULT = "twin"
"""The method that is trained where none is named."""


def choose(
    dataset: str | None, root: Path | None, name: str | None, preset: str | None, given: dict[str, Any]
) -> tuple[BaselineConfig, Benchmark]:
    """Choose settings and data set: those of the run of this name, if nothing else was asked for, else new ones.

    Args:
        dataset: name of the benchmark; by default the one last synced, else walkers.
        root: its folder or list; by default where it was last synced from, else below work/datasets.
        name: of the run.
        preset: settings to start from; by default the data set's own, else the methods' papers'.
        given: settings that replace both; `method` is one of them.

    Raises:
        InputError: there is no such data set or method, or a setting is impossible.
    """
    run = Run(RUNS / name) if name else None
    if run and (run.folder / "config.json").exists() and not (preset or given):
        config = run.config
        if not isinstance(config, BaselineConfig):
            raise InputError(f"run {run.name} is one of `make train`: give another run name")
        dataset = dataset or str(run.facts["dataset"])
        return config, open_benchmark(dataset, root or run.place)
    benchmark = _open(dataset, root)
    own = benchmark.name if benchmark.name in PRESETS else "paper"
    return make_baseline(given.get("method", DEFAULT), preset or own, given), benchmark


def _open(dataset: str | None, root: Path | None) -> Benchmark:
    stores = finished_stores(STORES, dataset) if root is None else []
    if stores:
        _, manifest = stores[0]
        return open_benchmark(manifest.dataset, manifest.place)
    dataset = dataset or "walkers"
    return open_benchmark(dataset, dataset_root(dataset, root))
