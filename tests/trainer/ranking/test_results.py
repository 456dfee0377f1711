"""Results: their file, also one written earlier, and their table."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data.benchmark import Benchmark, Setting, named
from data.record import ImageRecord
from data.runtime.errors import InputError
from tests.trainer.ranking.small import BENCHMARK, A, C, noisy_features, perfect_features
from trainer.ranking.evaluation import Measurement, evaluate_benchmark
from trainer.ranking.origin import Origin
from trainer.ranking.results import add_results, format_results, read_results, write_results

# A row as results.json has held it since its first version.
ROW = {
    "benchmark": "prcc",
    "split": "test",
    "setting": "clothing-change",
    "shots": "single-shot",
    "draws": 10,
    "distance": "euclidean",
    "rerank": True,
    "flip": False,
    "trained_on": "walkers",
    "drawn_by": "draws.json, 01234567",
    "protocol": "clothing-change, single-shot (10 draws of draws.json, 01234567)",
    "queries": 3543,
    "left_out": 0,
    "gallery": 71,
    "metric": "R1",
    "unit": "per cent",
    "value": 43.7,
    "spread": 0.5,
    "chance": 1.4,
}
# What later versions tell of a number besides.
ADDED = (
    *("root", "list_file", "list_sha256"),
    *("checkpoint", "epoch", "encoder", "trained_in", "cross_benchmark"),
)
ORIGIN = Origin("last", 60, "0123456789ab", "walkers", "/walkers", cross_benchmark=True)


def test_results_come_back_from_their_file(tmp_path: Path) -> None:
    results = evaluate_benchmark(BENCHMARK, noisy_features, Measurement(origin=ORIGIN, flip=True))
    write_results(tmp_path / "results.json", results)
    assert read_results(tmp_path / "results.json") == results
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]
    for row in json.loads((tmp_path / "results.json").read_text()):
        assert set(row) == {*ROW, *ADDED}
        assert (row["benchmark"], row["root"], row["list_file"], row["list_sha256"]) == ("small", "/data", None, None)
        assert (row["checkpoint"], row["epoch"], row["encoder"]) == ("last", 60, "0123456789ab")
        assert (row["trained_on"], row["trained_in"], row["cross_benchmark"]) == ("walkers", "/walkers", True)
        assert row["protocol"].startswith(f"{row['setting']}, {row['shots']}")
        assert (row["rerank"], row["flip"], row["distance"], row["unit"]) == (False, True, "cosine", "per cent")


def test_a_file_of_an_earlier_version_comes_back_and_is_written_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps([ROW, {**ROW, "distance": "cosine"}]))
    results = read_results(path)
    assert [result.protocol.distance for result in results] == ["euclidean", "cosine"]
    assert results[0]["R1"].value == 43.7
    assert all(getattr(result.protocol, name) is None for result in results for name in ADDED)
    title = results[1].protocol.title
    assert title.startswith("prcc, test; cosine distance; k-reciprocal re-ranking; cross-benchmark: the encoder was")
    assert title.endswith("trained on walkers; per cent")
    write_results(path, results)
    unknown = dict.fromkeys(ADDED)
    assert json.loads(path.read_text()) == [{**ROW, **unknown}, {**ROW, **unknown, "distance": "cosine"}]


def test_results_are_added_and_take_the_place_of_the_same_protocols(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    noisy, perfect = (evaluate_benchmark(BENCHMARK, features) for features in (noisy_features, perfect_features))
    flipped = evaluate_benchmark(BENCHMARK, noisy_features, Measurement(flip=True))
    for results in (noisy, flipped, perfect):
        add_results(path, results)
    assert read_results(path) == flipped + perfect


@pytest.mark.parametrize(
    "other",
    [
        Measurement(origin=replace(ORIGIN, checkpoint="best")),
        Measurement(origin=replace(ORIGIN, epoch=59)),
        Measurement(origin=replace(ORIGIN, encoder="ba9876543210")),
        Measurement(origin=ORIGIN, flip=True),
        replace(BENCHMARK, root=Path("/elsewhere")),
        replace(BENCHMARK, list_file=Path("/data/fold0.csv")),
        replace(BENCHMARK, list_file=Path("/data/fold0.csv"), list_sha256="f" * 64),
    ],
)
def test_results_of_another_encoder_or_of_other_photos_take_nobodys_place(
    tmp_path: Path, other: Measurement | Benchmark
) -> None:
    benchmark = other if isinstance(other, Benchmark) else BENCHMARK
    measurement = other if isinstance(other, Measurement) else Measurement(origin=ORIGIN)
    first = evaluate_benchmark(BENCHMARK, noisy_features, Measurement(origin=ORIGIN))
    second = evaluate_benchmark(benchmark, noisy_features, measurement)
    for results in (first, second, first):
        add_results(tmp_path / "results.json", results)
    assert read_results(tmp_path / "results.json") == second + first
    assert len(format_results(second + first).split("\n\n")) == 2


@pytest.mark.parametrize("content", ["", "{}x", "[1]", '[{"benchmark": "small"}]'])
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "results.json").write_text(content)
    with pytest.raises(InputError, match="not a file of results"):
        read_results(tmp_path / "results.json")
    with pytest.raises(InputError, match="not a file of results"):
        add_results(tmp_path / "results.json", [])


def test_the_table_names_protocol_chance_and_what_was_done() -> None:
    table = format_results(evaluate_benchmark(BENCHMARK, noisy_features, Measurement(rerank=True, origin=ORIGIN)))
    assert table.startswith("small in /data, test; last encoder, 60 epochs (0123456789ab); cosine distance; ")
    assert "cross-benchmark: the encoder was trained on walkers in /walkers" in table
    assert "k-reciprocal re-ranking" in table
    assert "flip" not in table
    line = next(line for line in table.splitlines() if line.startswith("clothing-change, single-shot (10 draws)"))
    assert " ± " in line
    assert "16.7 /" in line
    assert "left out" not in table
    listed = replace(BENCHMARK, list_file=Path("/data/fold0.csv"), list_sha256="abcdef0123456789")
    table = format_results(evaluate_benchmark(listed, noisy_features))
    assert table.startswith("small in /data/fold0.csv (SHA-256 abcdef01), test; cosine distance; per cent\n")


@pytest.mark.parametrize(
    ("trained_on", "cross_benchmark", "said"),
    [
        ("small", True, True),  # the same name, other photos
        ("other", False, False),  # another name, the same photos
        ("small", None, False),
        ("other", None, True),
        (None, None, False),
    ],
)
def test_photos_decide_what_is_cross_benchmark_and_names_where_they_are_unknown(
    trained_on: str | None, cross_benchmark: bool | None, said: bool
) -> None:
    origin = replace(ORIGIN, trained_on=trained_on, cross_benchmark=cross_benchmark)
    table = format_results(evaluate_benchmark(BENCHMARK, noisy_features, Measurement(origin=origin)))
    assert ("cross-benchmark" in table) == said


def test_each_measurement_is_a_table_of_its_own() -> None:
    plain = evaluate_benchmark(BENCHMARK, noisy_features)
    flipped = evaluate_benchmark(BENCHMARK, noisy_features, Measurement(flip=True))
    tables = format_results([*plain, *flipped]).split("\n\n")
    assert [table.splitlines()[0] for table in tables] == [
        "small in /data, test; cosine distance; per cent",
        "small in /data, test; cosine distance; flip-averaged; per cent",
    ]
    assert tables[0].splitlines()[1].split() == [
        *("protocol", "R1", "R5", "R10", "mAP", "mINP", "chance", "R1", "/", "mAP", "queries", "gallery")
    ]
    assert [len(table.splitlines()) for table in tables] == [6, 6]


def test_the_table_counts_queries_left_out() -> None:
    stranger = ImageRecord(Path("/data/C/x.jpg"), "stranger", "C", "x")
    setting = Setting("standard", (*C, stranger), A)
    (result,) = evaluate_benchmark(
        replace(BENCHMARK, settings=named(setting)), lambda records: np.eye(len(records), dtype=np.float32)
    )
    assert (result.queries, result.left_out) == (12, 1)
    assert "standard, multi-shot: queries without a match, left out: 1" in format_results([result])
