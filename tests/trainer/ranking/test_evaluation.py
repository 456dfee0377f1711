from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from data.benchmark import SHOTS, Benchmark, Setting, named
from data.record import ImageRecord
from data.runtime.errors import InputError, RunError
from trainer.ranking.draws import draw_galleries
from trainer.ranking.evaluation import (
    encode_labels,
    evaluate_benchmark,
    format_results,
    read_results,
    write_results,
)
from trainer.ranking.metrics import evaluate

PEOPLE = [f"{p:03}" for p in range(6)]


def photos(camera: str, outfit: str, number: int) -> tuple[ImageRecord, ...]:
    return tuple(
        ImageRecord(Path(f"/data/{camera}/{p}/{i}.jpg"), p, camera, f"{p}-{outfit}")
        for p in PEOPLE
        for i in range(number)
    )


A, B, C = photos("A", "AB", 4), photos("B", "AB", 3), photos("C", "C", 2)
BENCHMARK = Benchmark(
    "small",
    Path("/data"),
    [],
    named(Setting("clothing-change", C, A, SHOTS), Setting("same-clothing", B, A, SHOTS)),
    named(Setting("standard", C, A)),
)


def noisy_features(records: Sequence[ImageRecord]) -> np.ndarray:
    random = np.random.default_rng(0)
    centres = dict(zip(PEOPLE, random.normal(size=(len(PEOPLE), 8)), strict=True))
    return np.array([centres[r.person] + random.normal(size=8) for r in records], np.float32)


def perfect_features(records: Sequence[ImageRecord]) -> torch.Tensor:
    return torch.eye(len(PEOPLE))[[PEOPLE.index(r.person) for r in records]]


def test_every_setting_in_every_protocol() -> None:
    results = evaluate_benchmark(BENCHMARK, noisy_features)
    assert [str(result.protocol) for result in results] == [
        "clothing-change, single-shot (10 draws)",
        "clothing-change, multi-shot",
        "same-clothing, single-shot (10 draws)",
        "same-clothing, multi-shot",
    ]
    assert [(result.queries, result.left_out, result.gallery) for result in results] == [
        (12, 0, 6),
        (12, 0, 24),
        (18, 0, 6),
        (18, 0, 24),
    ]
    for result in results:
        assert {score.metric for score in result.scores} == {"R1", "R5", "R10", "R20", "mAP", "mINP"}
        assert all(score.protocol == result.protocol for score in result.scores)
        assert result["R1"].chance == pytest.approx(100 / 6)
    assert 20 < results[0]["R1"].value < 100


def test_single_shot_is_the_mean_and_spread_over_the_draws() -> None:
    single, multi = evaluate_benchmark(BENCHMARK, noisy_features)[:2]
    records = [*C, *A, *B]
    features = torch.nn.functional.normalize(torch.as_tensor(noisy_features(records)))
    query, gallery = encode_labels(C, A)
    distance = 1 - features[: len(C)] @ features[len(C) : len(C) + len(A)].T
    ap = []
    for draw in draw_galleries(BENCHMARK.settings["clothing-change"]):
        chosen = np.array(draw)
        ap.append(evaluate(distance[:, chosen], query, gallery[chosen], "clothing-change").mean_ap)
    assert single["mAP"].value == pytest.approx(100 * np.mean(ap))
    assert single["mAP"].spread == pytest.approx(100 * np.std(ap, ddof=1))
    assert multi["mAP"].value == pytest.approx(100 * evaluate(distance, query, gallery, "clothing-change").mean_ap)
    assert multi["mAP"].spread is None


def test_each_photo_is_extracted_once() -> None:
    asked: list[ImageRecord] = []

    def extract(records: Sequence[ImageRecord]) -> torch.Tensor:
        asked.extend(records)
        return perfect_features(records)

    evaluate_benchmark(BENCHMARK, extract)
    assert len(asked) == len(set(asked)) == len(A) + len(B) + len(C)


@pytest.mark.parametrize("rerank", [False, True])
@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_a_perfect_encoder_gets_everything(rerank: bool, distance: str) -> None:
    for result in evaluate_benchmark(BENCHMARK, perfect_features, rerank=rerank, distance=distance):
        assert [score.value for score in result.scores] == [100] * 6
        assert (result.protocol.rerank, result.protocol.distance) == (rerank, distance)


def test_an_encoder_that_sees_nothing_gets_nothing() -> None:
    blind = evaluate_benchmark(BENCHMARK, lambda records: np.ones((len(records), 4), np.float32))
    assert blind[0]["R1"].value == 0


def test_validation_uses_its_own_settings() -> None:
    (result,) = evaluate_benchmark(BENCHMARK, perfect_features, split="validation")
    assert str(result.protocol) == "standard, multi-shot"
    assert result.protocol.split == "validation"
    with pytest.raises(InputError, match="small has no validation settings"):
        evaluate_benchmark(replace(BENCHMARK, validation={}), perfect_features, split="validation")


def test_given_draws_are_used() -> None:
    draws = {"clothing-change": [tuple(range(0, 24, 4))]}
    results = evaluate_benchmark(BENCHMARK, noisy_features, draws=draws, drawn_by="draws.json, 0123")
    result = results[0]
    assert str(result.protocol) == "clothing-change, single-shot (1 draws of draws.json, 0123)"
    assert [each.protocol.drawn_by for each in results[1:]] == [None] * (len(results) - 1)
    assert result["R1"].spread is None
    assert result.gallery == 6


def test_results_come_back_from_their_file(tmp_path: Path) -> None:
    results = evaluate_benchmark(BENCHMARK, noisy_features, trained_on="walkers", flip=True)
    write_results(tmp_path / "results.json", results)
    assert read_results(tmp_path / "results.json") == results
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]
    for row in json.loads((tmp_path / "results.json").read_text()):
        assert row["benchmark"] == "small"
        assert row["protocol"].startswith(f"{row['setting']}, {row['shots']}")
        assert (row["rerank"], row["flip"], row["distance"], row["unit"]) == (False, True, "cosine", "per cent")


@pytest.mark.parametrize("content", ["", "{}x", "[1]", '[{"benchmark": "small"}]'])
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "results.json").write_text(content)
    with pytest.raises(InputError, match="not a file of results"):
        read_results(tmp_path / "results.json")


def test_the_table_names_protocol_chance_and_what_was_done() -> None:
    table = format_results(evaluate_benchmark(BENCHMARK, noisy_features, rerank=True, trained_on="walkers"))
    assert "cross-benchmark: the encoder was trained on walkers" in table
    assert "k-reciprocal re-ranking" in table
    assert "flip" not in table
    line = next(line for line in table.splitlines() if line.startswith("clothing-change, single-shot (10 draws)"))
    assert " ± " in line
    assert "16.7 /" in line
    assert "cross" not in format_results(evaluate_benchmark(BENCHMARK, noisy_features, trained_on="small"))


def test_queries_left_out_are_told() -> None:
    stranger = ImageRecord(Path("/data/C/x.jpg"), "stranger", "C", "x")
    setting = Setting("standard", (*C, stranger), A)
    (result,) = evaluate_benchmark(
        replace(BENCHMARK, settings=named(setting)), lambda records: np.eye(len(records), dtype=np.float32)
    )
    assert (result.queries, result.left_out) == (12, 1)
    assert "(1 without a match left out)" in format_results([result])


def test_broken_features_are_refused() -> None:
    with pytest.raises(RunError, match="not finite"):
        evaluate_benchmark(BENCHMARK, lambda records: np.full((len(records), 2), np.nan))
    with pytest.raises(RunError, match=r"shape \(3, 2\) for 54 photos"):
        evaluate_benchmark(BENCHMARK, lambda records: np.zeros((3, 2)))
