"""Plan: the cells of a table, each a training with its evaluation, on the shards that its row asks for."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data.runtime.errors import InputError
from data.runtime.places import STORES
from data.shards import Manifest, finished_stores, newest_store
from trainer.baselines import LOMO, METHODS, BaselineConfig, make_baseline
from trainer.config import make_config
from trainer.presets import PRESETS
from trainer.studies.cells import Cell
from trainer.studies.tables import Row, Shards, Table

Store = tuple[Path, Manifest]

_FREE = frozenset({"painter", "walkers", "keep_person", "composite"})
"""Parts of a recipe in which the shards of one table may differ, beside the number of templates."""


@dataclass(frozen=True)
class Ask:
    """What is asked of every cell of a table.

    Attributes:
        seeds: each row is trained once with each.
        split: whose people are ranked, "test" or "validation".
        preset: settings to start from; None for the data set's own, else the paper's.
        settings: in which all trainings differ from it, as `trainer.config.Config` calls them.
        device: "cpu", "cuda", "cuda:N", or "" for a GPU if there is one.
    """

    seeds: tuple[int, ...] = (0, 1, 2)
    split: str = "test"
    preset: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    device: str = ""


@dataclass(frozen=True)
class PlannedRow:
    """A row of a table and its cells by seed; where it cannot be run there are none, and `missing` says why."""

    row: Row
    cells: Mapping[int, Cell]
    missing: str = ""


def plan_table(table: Table, dataset: str | None, ask: Ask, stores: Path = STORES) -> tuple[str, list[PlannedRow]]:
    """Plan a table's cells.

    Args:
        table: what is compared.
        dataset: whose shards are taken; by default that of the shards made or asked for last.
        ask: what is asked of every cell.
        stores: the folder of all shards.

    Returns:
        The data set's name, and the rows.

    Raises:
        InputError: there are no shards for the first row, or a setting is impossible or varied by the table.
    """
    for name in sorted(table.varied & ask.settings.keys()):
        raise InputError(f"table {table.name} varies {name}: leave that setting out")
    own = _first_store(table, dataset, stores)
    planned = []
    for row in table.rows:
        if row.method and row.method not in METHODS:
            planned.append(PlannedRow(row, {}, f"`make baseline` has no method {row.method}"))
            continue
        store = own if row.shards == table.rows[0].shards else _find(row.shards, own[1].dataset, stores, own[1])
        if store is not None:
            planned.append(PlannedRow(row, {seed: _cell(row, seed, store, ask) for seed in ask.seeds}))
        else:
            make = _make_sync(own[1].dataset, row.shards)
            planned.append(PlannedRow(row, {}, f"there are no such shards, `{make}` makes them"))
    return own[1].dataset, planned


def option_words(settings: Mapping[str, Any]) -> list[str]:
    """Give settings as words of a command line."""
    words = []
    for name, value in settings.items():
        flag = name.replace("_", "-")
        words += [f"--{flag}" if value else f"--no-{flag}"] if isinstance(value, bool) else [f"--{flag}", str(value)]
    return words


def _cell(row: Row, seed: int, store: Store, ask: Ask) -> Cell:
    """Name a row's training with a seed by its data and by all its settings, however they came about."""
    folder, manifest = store
    settings = {**ask.settings, **row.settings, "seed": seed}
    preset = ask.preset or (manifest.dataset if manifest.dataset in PRESETS else "paper")
    source: tuple[str, ...]
    if row.method:
        known = {"seed"} if row.method in LOMO else {field.name for field in dataclasses.fields(BaselineConfig)}
        settings = {name: value for name, value in settings.items() if name in known}
        digest = make_baseline(row.method, preset, settings).digest
        source = ("baseline", "--method", row.method, "--dataset", manifest.dataset, "--data-root", str(manifest.place))
    else:
        digest = make_config(preset, settings).digest
        source = ("train", "--sync", str(folder))
    name = f"cell-{manifest.dataset}-{manifest.key[:8]}-{digest}"
    device = ("--device", ask.device) if ask.device else ()
    return Cell(
        name,
        (*source, "--run", name, "--preset", preset, *device, *option_words(settings)),
        ("eval", "--run", name, "--split", ask.split, *device),
    )


def _first_store(table: Table, dataset: str | None, stores: Path) -> Store:
    """Find the shards of a table's first row, made or asked for last."""
    newest = newest_store(stores, dataset)
    asked = next(manifest for folder, manifest in finished_stores(stores) if folder == newest).dataset
    found = _find(table.rows[0].shards, asked, stores)
    if found is None:
        make = _make_sync(asked, table.rows[0].shards)
        raise InputError(f"table {table.name} begins with shards of {asked} that are not there: run `{make}` first")
    return found


def _find(shards: Shards | None, dataset: str, stores: Path, like: Manifest | None = None) -> Store | None:
    """Find the shards of this kind that were made or asked for last, of one recipe with `like` otherwise."""
    for folder, manifest in finished_stores(stores, dataset):
        if (shards is None or _kind(manifest) == (shards.painter, shards.kept, shards.dealt)) and (
            like is None or _rest(manifest) == _rest(like)
        ):
            return folder, manifest
    return None


def _kind(manifest: Manifest) -> tuple[Any, bool, bool]:
    recipe = manifest.recipe
    templates = recipe.get("templates", {}).get("count", manifest.versions)
    return recipe.get("painter"), recipe.get("keep_person", False), templates != manifest.versions


def _rest(manifest: Manifest) -> str:
    """What must be the same of two stores for the rows trained on them to be compared."""
    rest = {name: value for name, value in manifest.recipe.items() if name not in _FREE}
    rest["templates"] = {name: value for name, value in rest.get("templates", {}).items() if name != "count"}
    return json.dumps([rest, manifest.versions, manifest.size, str(manifest.place)], sort_keys=True)


def _make_sync(dataset: str, shards: Shards | None) -> str:
    options = f' ARGS="{shards.options}"' if shards and shards.options else ""
    return f"make sync DATASET={dataset}{options}"
