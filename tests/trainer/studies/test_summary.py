"""The numbers of a table and how they are laid out: means, spreads, paired differences, what was not run."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainer.ranking.results import EvaluationProtocol, Result, Score
from trainer.studies.cells import Cell
from trainer.studies.chart import draw_table
from trainer.studies.layout import Filled, to_csv, to_json, to_markdown, to_text
from trainer.studies.plan import Ask, PlannedRow
from trainer.studies.summary import summarise
from trainer.studies.tables import TABLES, Row, Table

SEEDS = (0, 1, 2)


def results(change: float, same: float) -> tuple[Result, ...]:
    made = []
    for setting, rank_one in (("clothing-change", change), ("same-clothing", same)):
        for shots, draws, offset in (("single-shot", 10, 0.0), ("multi-shot", 1, 50.0)):
            protocol = EvaluationProtocol("walkers", "test", setting, shots, draws)
            scores = (
                Score(protocol, "R1", rank_one + offset, 1.0, 2.0),
                Score(protocol, "mAP", rank_one + offset + 5, 1.0, 9.0),
            )
            made.append(Result(protocol, scores, 200, 0, 50))
    return tuple(made)


def planned(row: Row, missing: str = "") -> PlannedRow:
    cells = {} if missing else {seed: Cell(f"{row.name}-{seed}", (), ()) for seed in SEEDS}
    return PlannedRow(row, cells, missing)


def filled(table: Table, measured: dict[str, tuple[Result, ...]], missing: dict[str, str] | None = None) -> Filled:
    rows = [planned(row, (missing or {}).get(row.name, "")) for row in table.rows]
    facts = {name: {"commit": "abc", "device": "CPU", "seconds": 10.0} for name in measured}
    notes = [f"{row.row.name} was not run: {row.missing}" for row in rows if row.missing]
    return Filled(table, "walkers", Ask(SEEDS), rows, summarise(rows, measured), notes, facts, "python -m trainer")


WORTH = {
    **{f"baseline-{seed}": results(4 + 2 * seed, 90) for seed in SEEDS},
    **{f"generator-{seed}": results(25 + 4 * seed, 80) for seed in SEEDS},
    **{f"ideal-{seed}": results(46 + 2 * seed, 80) for seed in SEEDS},
}
MISSING = {"kept": "there are no such shards"}


def test_mean_spread_and_paired_difference_with_its_standard_error() -> None:
    table = Table("two", "Two", (Row("first"), Row("second")))
    measured = {f"first-{s}": results(v, 90) for s, v in zip(SEEDS, (10, 12, 14), strict=True)}
    measured |= {f"second-{s}": results(v, 90) for s, v in zip(SEEDS, (11, 15, 19), strict=True)}
    parts = summarise([planned(row) for row in table.rows], measured)
    assert [(part.protocol.setting, part.protocol.shots) for part in parts] == [
        ("clothing-change", "single-shot"),
        ("clothing-change", "multi-shot"),
        ("same-clothing", "single-shot"),
        ("same-clothing", "multi-shot"),
    ]
    first, second = (numbers["R1"] for numbers in parts[0].rows)
    assert (first.mean, first.spread, first.difference, first.error) == (12.0, 2.0, None, None)
    assert (second.mean, second.spread, second.difference) == (15.0, 4.0, 3.0)
    assert second.error == pytest.approx(2 / 3**0.5)  # of the differences 1, 3 and 5
    assert parts[0].chance == {"R1": 2.0, "mAP": 9.0}


def test_only_seeds_that_both_rows_have_are_paired() -> None:
    table = Table("two", "Two", (Row("first"), Row("second")))
    measured = {"first-0": results(10, 90), "first-2": results(30, 90), "second-1": results(5, 90)}
    measured["second-2"] = results(33, 90)
    second = summarise([planned(row) for row in table.rows], measured)[0].rows[1]["R1"]
    assert (second.values, second.mean, second.difference, second.error) == ({1: 5, 2: 33}, 19.0, 3.0, None)
    assert "19.0 ± 19.8 (2 of 3 seeds)" in to_text(filled(table, measured))


def test_worth_tells_what_was_not_run_and_the_generators_share() -> None:
    text = to_text(filled(TABLES["worth"], WORTH, MISSING))
    lines = text.splitlines()
    assert lines[0] == "What redrawing is worth: walkers, test people"
    assert lines[2] == "clothing-change, single-shot (10 draws); chance 2.0 R1, 9.0 mAP"
    assert [" ".join(line.split()) for line in lines[4:7]] == [
        "baseline 6.0 ± 2.0 11.0 ± 2.0 29.6 / 27.4",
        "generator 29.0 ± 4.0 +23.0 ± 1.2 34.0 ± 4.0 +23.0 ± 1.2 43.7 / 39.8",
        "kept not run not run not given here",
    ]
    assert "kept was not run: there are no such shards" in text
    assert "R1 over baseline: generator +23.0, ideal +42.0, a ratio of 0.55" in text
    assert "multi-shot; chance" in text
    assert "56.0 ± 2.0" in text
    assert "Commit abc; CPU; 90 s" in text


def test_no_share_where_the_other_gains_nothing() -> None:
    measured = {**WORTH, **{f"ideal-{seed}": WORTH[f"baseline-{seed}"] for seed in SEEDS}}
    assert "ratio" not in to_text(filled(TABLES["worth"], measured, MISSING))


def test_one_seed_has_no_spread_and_no_loss_is_minus_nothing() -> None:
    table = Table("two", "Two", (Row("first"), Row("second")))
    text = to_text(filled(table, {"first-0": results(5, 90), "second-0": results(4.99, 90)}))
    assert "5.0 (1 of 3 seeds)        +0.0" in text


def test_nothing_run_is_a_table_that_says_so() -> None:
    assert to_text(filled(TABLES["eps"], {})).count("not run") >= len(TABLES["eps"].rows)


def test_the_papers_figures_are_the_data_sets_own_or_prccs() -> None:
    table = Table("one", "One", (TABLES["components"].rows[-1],))
    here = filled(table, {"all-0": results(5, 90)})
    assert "paper (prcc)" in to_text(here)
    other = Filled(table, "vc-clothes", here.ask, here.rows, here.parts, (), here.facts, "")
    assert "67.4 / 62.5" in to_text(other)
    assert "43.7" not in to_text(other)


def test_markdown_csv_and_json_hold_the_same_numbers() -> None:
    table = filled(TABLES["worth"], WORTH, MISSING)
    page = to_markdown(table)
    assert "| generator | 29.0 ± 4.0 | +23.0 ± 1.2 | 34.0 ± 4.0 | +23.0 ± 1.2 | 43.7 / 39.8 |" in page
    assert "(table.png)" in page
    assert "| baseline | `--no-c-a --no-c-i --sampling none` | 30 |" in page
    rows = list(csv.DictReader(io.StringIO(to_csv(table))))
    assert len(rows) == 4 * 4 * 2
    assert [rows[2][name] for name in ("row", "setting", "shots", "metric", "seeds", "mean", "spread")] == [
        *("generator", "clothing-change", "single-shot", "R1", "0 1 2", "29.000", "4.000")
    ]
    assert [rows[4][name] for name in ("row", "mean", "paper")] == ["kept", "not run", "not given here"]
    content = to_json(table)
    measured = {row["row"]: row["measured"] for row in content["parts"][0]["rows"]}
    assert measured["generator"]["R1"]["values"] == {0: 25.0, 1: 29.0, 2: 33.0}
    assert measured["kept"] == "not run"
    assert content["seconds"] == 90.0


def test_the_picture_is_drawn_with_and_without_numbers(tmp_path: Path) -> None:
    pictures = []
    for name, measured in (("full", WORTH), ("empty", {})):
        draw_table(tmp_path / f"{name}.png", filled(TABLES["worth"], measured, MISSING))
        with Image.open(tmp_path / f"{name}.png") as picture:
            pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
        pictures.append({tuple(colour) for colour in np.unique(pixels, axis=0).tolist()})
    blue, orange = (27, 94, 158), (199, 91, 18)
    assert {blue, orange} <= pictures[0]
    assert not {blue, orange} & pictures[1]
