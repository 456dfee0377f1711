from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from data.benchmark import SETTINGS
from data.runtime.errors import InputError, RunError
from trainer.ranking import metrics as ranking
from trainer.ranking.metrics import Labels, chance, evaluate, evaluate_features

PARITY = Path(__file__).parent / "parity"
RULE_OF_GU = {"standard": "standard", "clothing-change": "CC", "same-clothing": "SC"}


def labels(person: Any, camera: Any, clothes: Any) -> Labels:
    return Labels(np.asarray(person), np.asarray(camera), np.asarray(clothes))


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, Labels, Labels]:
    """Distances and labels of a few people; the first query has a match in every setting."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    queries, photos, people = draw(st.integers(1, 12)), draw(st.integers(2, 40)), draw(st.integers(1, 6))

    def side(number: int) -> np.ndarray:
        return np.stack(
            [random.integers(0, people, number), random.integers(0, 3, number), random.integers(0, 2, number)]
        )

    query, gallery = side(queries), side(photos)
    query[:, 0], gallery[:, 0], gallery[:, 1] = (0, 0, 0), (0, 1, 1), (0, 1, 0)
    # A permutation, so that no two distances of a query are equal.
    distance = random.permuted(np.tile(np.arange(photos, dtype=np.float64), (queries, 1)), axis=1)
    return distance, labels(*query), labels(*gallery)


def plain(distance: np.ndarray, query: Labels, gallery: Labels, setting: str) -> tuple[np.ndarray, float, float, int]:
    """The definitions, one query at a time."""
    cmc, ap, inp = [], [], []
    for q in range(len(query)):
        person = gallery.person == query.person[q]
        camera = gallery.camera == query.camera[q]
        clothes = gallery.clothes == query.clothes[q]
        junk = {"standard": camera, "clothing-change": camera | clothes, "same-clothing": camera | ~clothes}[setting]
        kept = [g for g in np.argsort(distance[q], kind="stable") if not (person & junk)[g]]
        hits = np.flatnonzero(person[kept]) + 1
        if len(hits) == 0:
            continue
        cmc.append(np.arange(1, len(gallery) + 1) >= hits[0])
        ap.append(np.mean(np.arange(1, len(hits) + 1) / hits))
        inp.append(len(hits) / hits[-1])
    return np.mean(cmc, axis=0), float(np.mean(ap)), float(np.mean(inp)), len(ap)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_parity_with_the_evaluation_of_gu_et_al(setting: str, dtype: torch.dtype) -> None:
    case = np.load(PARITY / "evaluation.npz")
    expected = json.loads((PARITY / "evaluation.json").read_text())[RULE_OF_GU[setting]]
    query = labels(case["query_ids"], case["query_cameras"], case["query_clothes"])
    gallery = labels(case["gallery_ids"], case["gallery_cameras"], case["gallery_clothes"])
    result = evaluate(torch.as_tensor(case["distance"]).to(dtype), query, gallery, setting)
    np.testing.assert_allclose(result.cmc[:20], expected["cmc"], atol=1e-6)
    assert result.mean_ap == pytest.approx(expected["mAP"], abs=1e-6 if dtype == torch.float64 else 1e-4)


@pytest.mark.parametrize("setting", SETTINGS)
@settings(deadline=None)
@given(case=cases())
def test_equal_to_the_definitions_one_query_at_a_time(setting: str, case: tuple[np.ndarray, Labels, Labels]) -> None:
    cmc, mean_ap, mean_inp, used = plain(*case, setting)
    result = evaluate(*case, setting)
    np.testing.assert_allclose(result.cmc, cmc)
    assert (result.mean_ap, result.mean_inp, result.used) == (pytest.approx(mean_ap), pytest.approx(mean_inp), used)


@pytest.mark.parametrize("setting", SETTINGS)
@settings(deadline=None)
@given(case=cases(), seed=st.integers(0, 1000))
def test_names_and_order_do_not_matter(setting: str, case: tuple[np.ndarray, Labels, Labels], seed: int) -> None:
    distance, query, gallery = case
    random = np.random.default_rng(seed)
    order = random.permutation(len(gallery))
    names = random.permutation(100) * 1000 - 500
    renamed = [Labels(names[side.person], names[side.camera], names[side.clothes]) for side in (query, gallery)]
    result = evaluate(distance[:, order], renamed[0], renamed[1][order], setting)
    expected = evaluate(*case, setting)
    np.testing.assert_array_equal(result.cmc, expected.cmc)
    assert (result.mean_ap, result.mean_inp, result.used) == (expected.mean_ap, expected.mean_inp, expected.used)


@settings(deadline=None)
@given(case=cases(), place=st.floats(-1, 50))
def test_removed_photos_do_not_matter(case: tuple[np.ndarray, Labels, Labels], place: float) -> None:
    distance, query, gallery = case
    query, distance = query[:1], distance[:1]
    junk = Labels(*(np.concatenate([getattr(gallery, n), getattr(query, n)]) for n in ("person", "camera", "clothes")))
    result = evaluate(np.append(distance, [[place]], axis=1), query, junk, "standard")
    expected = evaluate(distance, query, gallery, "standard")
    np.testing.assert_array_equal(result.cmc[:-1], expected.cmc)
    assert (result.mean_ap, result.mean_inp) == (expected.mean_ap, expected.mean_inp)


@pytest.mark.parametrize("setting", SETTINGS)
@settings(deadline=None)
@given(case=cases())
def test_a_perfect_distance_gives_one(setting: str, case: tuple[np.ndarray, Labels, Labels]) -> None:
    _, query, gallery = case
    result = evaluate((query.person[:, None] != gallery.person).astype(float), query, gallery, setting)
    assert result.cmc.min() == result.mean_ap == result.mean_inp == 1


def test_closed_forms() -> None:
    query, gallery = labels([1], [0], [0]), labels([1, 2, 1, 3], [1, 1, 1, 1], [1, 1, 1, 1])
    result = evaluate(np.array([[2.0, 1.0, 4.0, 3.0]]), query, gallery, "standard")
    np.testing.assert_array_equal(result.cmc, [0, 1, 1, 1])
    assert result.mean_ap == (1 / 2 + 2 / 4) / 2
    assert result.mean_inp == 2 / 4


def test_ties_are_resolved_against_the_encoder() -> None:
    query, gallery = labels([1], [0], [0]), labels([1, 2, 1, 3], [1, 1, 1, 1], [1, 1, 1, 1])
    for order in ([0, 1, 2, 3], [3, 2, 1, 0]):
        result = evaluate(np.zeros((1, 4)), query, gallery[np.array(order)], "standard")
        np.testing.assert_array_equal(result.cmc, [0, 0, 1, 1])
        assert result.mean_ap == pytest.approx((1 / 3 + 2 / 4) / 2)


def test_queries_without_a_match_are_left_out_and_counted() -> None:
    query, gallery = labels([1, 9, 1], [0, 0, 1], [0, 0, 0]), labels([1, 2], [1, 1], [0, 0])
    result = evaluate(np.array([[0.0, 1.0]] * 3), query, gallery, "standard")
    assert result.used == 1
    assert result.mean_ap == 1
    with pytest.raises(InputError, match="no query has a match"):
        evaluate(np.array([[0.0, 1.0]] * 3), query, gallery, "clothing-change")


def test_blocks_change_nothing_and_euclidean_distance_ranks_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    query, gallery = (labels(*random.integers(0, 9, (3, n))) for n in (37, 50))
    one, other = (torch.as_tensor(random.normal(size=(n, 8))) for n in (37, 50))
    unit_one, unit_other = (torch.nn.functional.normalize(side) for side in (one, other))
    monkeypatch.setattr(ranking, "_BLOCK_ELEMENTS", 150)
    blocks = evaluate_features(one, other, query, gallery, "standard")
    for distance in (
        1 - torch.cosine_similarity(one[:, None], other, dim=2),
        torch.linalg.vector_norm(unit_one[:, None] - unit_other, dim=2),
    ):
        monkeypatch.setattr(ranking, "_BLOCK_ELEMENTS", 1 << 24)
        whole = evaluate(distance, query, gallery, "standard")
        np.testing.assert_allclose(blocks.cmc, whole.cmc)
        assert blocks.mean_ap == pytest.approx(whole.mean_ap)


@pytest.mark.parametrize("setting", SETTINGS)
def test_chance_is_the_mean_over_all_orders(setting: str) -> None:
    query = labels([1, 2, 9], [0, 0, 0], [0, 0, 0])
    gallery = labels([1, 1, 1, 2, 3], [1, 1, 0, 1, 1], [0, 1, 1, 1, 0])
    orders = itertools.permutations(range(len(gallery)))
    results = [evaluate(np.tile(order, (3, 1)).astype(float), query, gallery, setting) for order in orders]
    rank1, mean_ap = chance(query, gallery, setting)
    assert rank1 == pytest.approx(np.mean([result.cmc[0] for result in results]))
    assert mean_ap == pytest.approx(np.mean([result.mean_ap for result in results]))


def test_bad_input_is_refused() -> None:
    query, gallery = labels([1], [0], [0]), labels([1, 2], [1, 1], [0, 0])
    with pytest.raises(RunError, match="not a finite number"):
        evaluate(np.array([[0.0, np.nan]]), query, gallery, "standard")
    with pytest.raises(InputError, match="'best' is unknown"):
        evaluate(np.zeros((1, 2)), query, gallery, "best")
    with pytest.raises(ValueError, match=r"distance is \(2, 1\)"):
        evaluate(np.zeros((2, 1)), query, gallery, "standard")
