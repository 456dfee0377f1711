"""The table of what redrawing is worth: means and spreads over seeds, gains over the baseline."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from data.runtime.errors import InputError, RunError
from data.runtime.files import write_json
from data.shards import MANIFEST, Manifest, read_manifest, write_manifest
from trainer.ranking.results import EvaluationProtocol, Result, Score, write_results
from trainer.studies import worth
from trainer.studies.worth import arms, format_worth


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


MEASURED = {
    "baseline": [results(4, 90), results(6, 92)],
    "generator": [results(24, 80), results(26, 80)],
    "ideal": [results(45, 80), results(45, 82)],
}


def test_means_spreads_gains_and_the_protocols_name() -> None:
    table = format_worth(MEASURED, "single-shot")
    lines = table.splitlines()
    assert lines[0].startswith(
        "clothing-change, single-shot (10 draws); same-clothing, single-shot (10 draws); 2 seeds"
    )
    assert lines[2].split() == ["chance", "2.0", "9.0", "2.0", "9.0"]
    assert lines[3].split() == [
        "baseline",
        "5.0",
        "±",
        "1.4",
        "10.0",
        "±",
        "1.4",
        "91.0",
        "±",
        "1.4",
        "96.0",
        "±",
        "1.4",
    ]
    assert lines[-1] == "clothing-change R1 over the baseline: generator +20.0, ideal +40.0, a ratio of 0.50"


def test_the_other_protocol_is_another_table() -> None:
    table = format_worth(MEASURED, "multi-shot")
    assert "multi-shot" in table
    assert "single-shot" not in table
    assert "55.0 ± 1.4" in table


def test_one_seed_has_no_spread() -> None:
    table = format_worth({arm: seeds[:1] for arm, seeds in MEASURED.items()}, "single-shot")
    assert "1 seeds" in table
    assert "±" not in table


def test_no_ratio_where_ideal_redrawing_gains_nothing() -> None:
    assert "ratio" not in format_worth({**MEASURED, "ideal": MEASURED["baseline"]}, "single-shot")


def test_a_protocol_that_was_left_out_is_a_line() -> None:
    measured = {arm: [seed[2:] for seed in seeds] for arm, seeds in MEASURED.items()}
    with pytest.raises(RunError, match="clothing-change, single-shot was not measured"):
        format_worth(measured, "single-shot")


def test_missing_shards_say_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="make worth"):
        arms(tmp_path)


def make_shards(folder: Path, painter: str, keep_person: bool) -> Path:
    folder.mkdir()
    recipe = {"painter": painter, "keep_person": keep_person}
    write_manifest(folder, Manifest("key", "walkers", "root", 3, (8, 4), (), "now", recipe))
    return folder / MANIFEST


def test_each_arm_has_the_newest_shards_of_its_kind(tmp_path: Path) -> None:
    kinds = [("new", "pise", False), ("kept", "pise", True), ("ideal", "ideal", False), ("old", "pise", False)]
    for age, (key, painter, keep_person) in enumerate(kinds):
        path = make_shards(tmp_path / f"walkers-{key}", painter, keep_person)
        os.utime(path, (1e9 - age, 1e9 - age))
    assert [(arm.name, arm.store.name) for arm in arms(tmp_path, keep_person=True)] == [
        ("baseline", "walkers-new"),
        ("generator", "walkers-new"),
        ("kept", "walkers-kept"),
        ("ideal", "walkers-ideal"),
    ]
    assert [arm.name for arm in arms(tmp_path)] == ["baseline", "generator", "ideal"]


def test_shards_of_other_painters_are_passed_over(tmp_path: Path) -> None:
    for painter in ("pise", "ideal"):
        make_shards(tmp_path / f"walkers-{painter}", painter, keep_person=False)
    for key, recipe in (("recoloured", {"painter": "recolour", "version": 1}), ("mine", {"by": "somebody"})):
        (tmp_path / f"walkers-{key}").mkdir()
        write_manifest(tmp_path / f"walkers-{key}", Manifest("key", "walkers", "root", 3, (8, 4), (), "now", recipe))
    assert [arm.store.name for arm in arms(tmp_path)] == ["walkers-pise", "walkers-pise", "walkers-ideal"]


@pytest.mark.parametrize("torn", ["", "{", "[]", '"text"', '{"format": 1}', "recipe", "shards"])
def test_a_torn_manifest_is_passed_over(tmp_path: Path, torn: str) -> None:
    for painter in ("pise", "ideal"):
        make_shards(tmp_path / f"walkers-{painter}", painter, keep_person=False)
    manifest = make_shards(tmp_path / "walkers-torn", "pise", keep_person=False)
    damages: dict[str, dict[str, object]] = {"recipe": {"recipe": None}, "shards": {"shards": ["shard-00000.h5"]}}
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), **damages[torn]}) if torn in damages else torn)
    assert [arm.store.name for arm in arms(tmp_path)] == ["walkers-pise", "walkers-pise", "walkers-ideal"]
    with pytest.raises(InputError, match="damaged"):
        read_manifest(manifest.parent)


def test_only_the_evaluation_that_was_asked_for_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of a re-ranking, of mirrored photos, of other people, or measured elsewhere before, are not the table's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(worth, "_trainer", lambda *words: None)
    folder = tmp_path / "work" / "runs" / "worth-baseline-key-0"
    folder.mkdir(parents=True)
    write_json(folder / "config.json", {})
    protocol = EvaluationProtocol(
        "walkers", "test", "clothing-change", "multi-shot", 1, root="/here", checkpoint="last", epoch=24
    )
    protocols = [
        replace(protocol, root="/elsewhere"),
        replace(protocol, epoch=12),
        protocol,
        replace(protocol, checkpoint="best"),
        replace(protocol, checkpoint=None, epoch=None),
        replace(protocol, benchmark="prcc"),
        replace(protocol, flip=True),
        replace(protocol, rerank=True),
        replace(protocol, split="validation"),
    ]
    write_results(folder / "results.json", [Result(p, (Score(p, "R1", 1.0, None, 1.0),), 9, 0, 9) for p in protocols])
    measured = worth.measure(worth.Arm("baseline", Path("walkers-key")), 0, "test")
    assert [result.protocol for result in measured] == [protocol]


def test_missing_kept_shards_say_how_to_make_them(tmp_path: Path) -> None:
    for painter in ("pise", "ideal"):
        make_shards(tmp_path / f"walkers-{painter}", painter, keep_person=False)
    with pytest.raises(InputError, match="make sync DATASET=walkers ARGS=--keep-person"):
        arms(tmp_path, keep_person=True)
