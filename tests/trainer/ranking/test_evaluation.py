from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from data.benchmark import SHOTS, Setting, named
from data.record import ImageRecord
from data.runtime.errors import InputError, RunError
from tests.trainer.ranking.small import BENCHMARK, A, B, C, noisy_features, perfect_features, photos
from trainer.ranking.draws import GivenDraws, draw_galleries
from trainer.ranking.evaluation import Measurement, encode_labels, evaluate_benchmark, unmeasured
from trainer.ranking.metrics import evaluate


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
def test_a_perfect_encoder_gets_everything(rerank: bool) -> None:
    for result in evaluate_benchmark(BENCHMARK, perfect_features, Measurement(rerank=rerank)):
        assert [score.value for score in result.scores] == [100] * 6
        assert (result.protocol.rerank, result.protocol.distance) == (rerank, "cosine")


def test_an_encoder_that_sees_nothing_gets_nothing() -> None:
    blind = evaluate_benchmark(BENCHMARK, lambda records: np.ones((len(records), 4), np.float32))
    assert blind[0]["R1"].value == 0


def test_validation_uses_its_own_settings() -> None:
    (result,) = evaluate_benchmark(BENCHMARK, perfect_features, Measurement(split="validation"))
    assert str(result.protocol) == "standard, multi-shot"
    assert result.protocol.split == "validation"
    with pytest.raises(InputError, match="small has no validation settings"):
        evaluate_benchmark(replace(BENCHMARK, validation={}), perfect_features, Measurement(split="validation"))


def of_one_camera(*sides: tuple[ImageRecord, ...]) -> list[tuple[ImageRecord, ...]]:
    return [tuple(replace(record, camera="A") for record in side) for side in sides]


def test_what_can_be_measured_is_and_the_rest_is_named_with_the_reason() -> None:
    """Of one setting all photos are of one camera; the other one has two."""
    query, gallery = of_one_camera(C, A)
    same = BENCHMARK.settings["same-clothing"]
    benchmark = replace(BENCHMARK, settings=named(Setting("clothing-change", query, gallery, SHOTS), same))
    asked: list[ImageRecord] = []

    def extract(records: Sequence[ImageRecord]) -> np.ndarray:
        asked.extend(records)
        return noisy_features(records)

    alone = evaluate_benchmark(replace(BENCHMARK, settings=named(same)), noisy_features)
    assert evaluate_benchmark(benchmark, extract) == alone
    assert len(asked) == len(B) + len(A)
    problems = unmeasured(benchmark)
    assert list(problems) == ["clothing-change, single-shot (10 draws)", "clothing-change, multi-shot"]
    assert all("all photos are of one camera (A)" in why for why in problems.values())
    assert unmeasured(BENCHMARK) == {}


def test_nothing_that_can_be_measured_is_a_line_before_any_photo_is_read() -> None:
    query, gallery = of_one_camera(C, A)
    benchmark = replace(BENCHMARK, settings=named(Setting("standard", query, gallery, SHOTS)))

    def extract(records: Sequence[ImageRecord]) -> np.ndarray:
        raise AssertionError

    with pytest.raises(InputError, match=r"^small, test: no query .* one camera \(A\).*; mend the labels"):
        evaluate_benchmark(benchmark, extract)


def test_a_draw_without_a_match_is_named_and_all_of_the_gallery_measured() -> None:
    """Each person's gallery holds photos by the query's camera too: a draw of those alone cannot be ranked."""
    [query] = of_one_camera(C)
    gallery = (*of_one_camera(photos("D", "D", 40))[0], replace(A[0], camera="B"))
    benchmark = replace(BENCHMARK, settings=named(Setting("standard", query, gallery, SHOTS)))
    [result] = evaluate_benchmark(benchmark, noisy_features)
    assert (str(result.protocol), result.queries) == ("standard, multi-shot", 2)
    assert list(unmeasured(benchmark)) == ["standard, single-shot (10 draws)"]


def test_given_draws_are_used() -> None:
    draws = GivenDraws({"clothing-change": [tuple(range(0, 24, 4))]}, source="draws.json, 0123")
    results = evaluate_benchmark(BENCHMARK, noisy_features, Measurement(draws=draws))
    result = results[0]
    assert str(result.protocol) == "clothing-change, single-shot (1 draws of draws.json, 0123)"
    assert [each.protocol.drawn_by for each in results[1:]] == [None] * (len(results) - 1)
    assert result["R1"].spread is None
    assert result.gallery == 6


def test_broken_features_are_refused() -> None:
    with pytest.raises(RunError, match="not finite"):
        evaluate_benchmark(BENCHMARK, lambda records: np.full((len(records), 2), np.nan))
    with pytest.raises(RunError, match=r"shape \(3, 2\) for 54 photos"):
        evaluate_benchmark(BENCHMARK, lambda records: np.zeros((3, 2)))
