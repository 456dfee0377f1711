"""Which shards and which settings the cells of a table have."""

import json
import os
from pathlib import Path

import pytest

from data.runtime.errors import InputError
from data.shards import MANIFEST, Manifest, read_manifest, write_manifest
from trainer.config import make_config
from trainer.studies.plan import Ask, PlannedRow, option_words, plan_table
from trainer.studies.tables import TABLES, Row, Table

FIXED = {"count": 4, "seed": 0, "folder": None}
PISE = {"painter": "pise", "weights": "a", "templates": FIXED, "keep_person": False}
KINDS = {
    "plain": PISE,
    "kept": {**PISE, "keep_person": True, "composite": 2},
    "ideal": {**PISE, "painter": "ideal", "walkers": {"seed": 0}},
    "dealt": {**PISE, "templates": {**FIXED, "count": 64}},
}


def make_shards(stores: Path, key: str, recipe: dict[str, object], age: int = 0, dataset: str = "walkers") -> Path:
    folder = stores / f"{dataset}-{key}"
    folder.mkdir()
    write_manifest(folder, Manifest(key, dataset, "root", 4, (8, 4), (), "now", recipe))
    os.utime(folder / MANIFEST, (1e9 - age, 1e9 - age))
    return folder


def store_of(row: PlannedRow) -> str:
    """The key of the shards that a row's cells are trained on, "" where it has none."""
    return next((Path(cell.train[2]).name.partition("-")[2] for cell in row.cells.values()), "")


def worth(stores: Path) -> list[str]:
    return [store_of(row) for row in plan_table(TABLES["worth"], "walkers", Ask(), stores)[1]]


@pytest.fixture
def stores(tmp_path: Path) -> Path:
    for age, (key, recipe) in enumerate(KINDS.items()):
        make_shards(tmp_path, key, recipe, age)
    return tmp_path


def test_each_row_has_the_newest_shards_of_its_kind(stores: Path) -> None:
    make_shards(stores, "older", PISE, age=9)
    assert worth(stores) == ["plain", "plain", "kept", "ideal"]
    _, rows = plan_table(TABLES["templates"], None, Ask(), stores)
    assert [store_of(row) for row in rows] == ["plain", "dealt"]
    _, rows = plan_table(TABLES["components"], None, Ask(), stores)
    assert {store_of(row) for row in rows} == {"plain"}


def test_a_table_without_kinds_takes_the_shards_asked_for_last(stores: Path) -> None:
    make_shards(stores, "mine", {"by": "somebody"}, age=-1, dataset="prcc")
    for dataset, key in ((None, "mine"), ("walkers", "plain")):
        name, rows = plan_table(TABLES["sampling"], dataset, Ask(), stores)
        assert (name, {store_of(row) for row in rows}) == (dataset or "prcc", {key})


def test_shards_of_another_generator_are_not_compared(stores: Path) -> None:
    make_shards(stores, "refitted", {**PISE, "weights": "b"}, age=-1)
    _, rows = plan_table(TABLES["keep-person"], "walkers", Ask(), stores)
    assert [store_of(row) for row in rows] == ["refitted", ""]
    assert rows[1].missing == ('there are no such shards, `make sync DATASET=walkers ARGS="--keep-person"` makes them')


def test_missing_shards_of_the_first_row_say_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="make sync"):
        worth(tmp_path)
    make_shards(tmp_path, "recoloured", {"painter": "recolour", "version": 1})
    with pytest.raises(InputError, match="begins with shards of walkers that are not there: run `make sync"):
        worth(tmp_path)


@pytest.mark.parametrize("torn", ["", "{", "[]", '"text"', '{"format": 2}', "recipe", "shards"])
def test_a_torn_manifest_is_passed_over(stores: Path, torn: str) -> None:
    manifest = make_shards(stores, "torn", PISE, age=-1) / MANIFEST
    damages: dict[str, dict[str, object]] = {"recipe": {"recipe": None}, "shards": {"shards": ["shard-00000.h5"]}}
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), **damages[torn]}) if torn in damages else torn)
    assert worth(stores) == ["plain", "plain", "kept", "ideal"]
    with pytest.raises(InputError, match="damaged"):
        read_manifest(manifest.parent)


def test_a_cell_is_named_by_all_that_decides_its_numbers(stores: Path) -> None:
    def names(table: str, ask: Ask) -> dict[str, list[str]]:
        return {
            row.row.name: [cell.name for cell in row.cells.values()]
            for row in plan_table(TABLES[table], "walkers", ask, stores)[1]
        }

    components, again = names("components", Ask((0, 1))), names("components", Ask((0, 1, 2)))
    assert all(again[row][:2] == found for row, found in components.items())
    assert len({name for found in again.values() for name in found}) == 6 * 3
    digest = make_config("walkers", {"c_i": False, "sampling": "none", "seed": 1}).digest
    assert components["C_a"][1] == f"cell-walkers-plain-{digest}"
    # The same training in two tables is one cell, whatever its row is called.
    assert names("sampling", Ask())["both"] == again["all"]
    assert names("worth", Ask())["kept"] != names("worth", Ask())["generator"]
    shorter = names("components", Ask(settings={"epochs": 1}))
    assert not {*shorter["all"]} & {*again["all"]}
    assert names("components", Ask(preset="walkers")) == again
    assert names("components", Ask(preset="paper")) != again


def test_the_commands_are_the_ordinary_ones(stores: Path) -> None:
    ask = Ask((7,), "validation", settings={"epochs": 1, "compile": False}, device="cpu")
    _, rows = plan_table(TABLES["eps"], "walkers", ask, stores)
    cell = rows[0].cells[7]
    settings = "--epochs 1 --no-compile --eps 0.2 --seed 7"
    assert " ".join(cell.train) == (
        f"train --sync {stores / 'walkers-plain'} --run {cell.name} --preset walkers --device cpu {settings}"
    )
    assert " ".join(cell.evaluate) == f"eval --run {cell.name} --split validation --device cpu"


def test_supervised_methods_have_their_own_command_and_settings(stores: Path) -> None:
    ask = Ask((0,), settings={"epochs": 1, "k1": 8})
    _, rows = plan_table(TABLES["1"], "walkers", ask, stores)
    found = {row.row.name: row for row in rows}
    words = found["PCB"].cells[0].train
    assert words[:7] == ("baseline", "--method", "pcb", "--dataset", "walkers", "--data-root", "root")
    assert words[-4:] == ("--epochs", "1", "--seed", "0")
    assert found["LOMO + XQDA"].cells[0].train[-4:] == ("--preset", "walkers", "--seed", "0")
    assert found["ours, without labels"].cells[0].train[0] == "train"
    assert [row.row.name for row in rows if row.missing] == []
    table = Table("x", "X", (Row("ours"), Row("theirs", method="unheard-of")))
    _, rows = plan_table(table, "walkers", ask, stores)
    assert (rows[1].cells, rows[1].missing) == ({}, "`make baseline` has no method unheard-of")


@pytest.mark.parametrize(("table", "name"), [("eps", "eps"), ("components", "sampling"), ("worth", "seed")])
def test_what_a_table_varies_cannot_be_given(stores: Path, table: str, name: str) -> None:
    with pytest.raises(InputError, match=f"table {table} varies {name}: leave that setting out"):
        plan_table(TABLES[table], "walkers", Ask(settings={name: 1}), stores)


def test_settings_as_words() -> None:
    assert option_words({"c_a": False, "c_i": True, "eps": 0.3}) == ["--no-c-a", "--c-i", "--eps", "0.3"]
