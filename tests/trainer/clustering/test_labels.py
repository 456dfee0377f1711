"""Pseudo labels: against the published dense way, odd inputs, and wrong ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import DBSCAN

from data.runtime.errors import InputError, RunError
from tests.bench.people import people
from trainer.clustering import jaccard
from trainer.clustering import labels as clustering
from trainer.clustering.labels import jaccard_similarity, memory_needed, pseudo_labels

VECTORS = Path(__file__).parent / "vectors"


@pytest.mark.parametrize("case", ["a", "b", "c"])
def test_similarity_and_labels_equal_the_published_ones(case: str) -> None:
    v = np.load(VECTORS / f"jaccard_{case}.npz")
    k1, k2 = int(v["k1"]), int(v["k2"])
    np.testing.assert_allclose(1 - jaccard_similarity(v["features"], k1, k2).toarray(), v["distance"], atol=1e-5)
    labels = pseudo_labels(v["features"], float(v["eps"]), int(v["min_samples"]), k1, k2)
    np.testing.assert_array_equal(labels, v["labels"])


def slow_similarity(features: np.ndarray, k1: int, k2: int) -> np.ndarray:
    """Follow the definition with sets and loops, in float64."""
    size = len(features)
    index, similarity = np.arange(size), features.astype(np.float64) @ features.T.astype(np.float64)
    order = [np.lexsort((index, abs(index - i), -similarity[i])).tolist() for i in index]

    def reciprocal(k: int) -> list[set[int]]:
        return [{j for j in order[i][:k] if i in order[j][:k]} for i in index]

    full, half = reciprocal(k1), reciprocal(min(k1, int(np.around(k1 / 2)) + 1))
    weights = np.zeros((size, size))
    for i in index:
        own = [half[j] for j in full[i] if len(half[j] & full[i]) > 2 / 3 * len(half[j])]
        members = sorted(full[i].union(*own))
        weights[i, members] = np.exp(2 * similarity[i, members] - 2)
        weights[i] /= weights[i].sum()
    weights = np.stack([weights[order[i][:k1][:k2]].mean(axis=0) for i in index])
    overlap = np.minimum(weights[:, None], weights[None]).sum(axis=2)
    return overlap / (2 - overlap)


@settings(max_examples=40, deadline=None)
@given(size=st.integers(1, 40), k1=st.integers(1, 45), k2=st.integers(1, 12), seed=st.integers(0, 1000))
def test_similarity_equals_the_definition(size: int, k1: int, k2: int, seed: int) -> None:
    features = people(size, 12, seed).numpy()
    similarity = jaccard_similarity(features, k1, k2)
    np.testing.assert_allclose(similarity.toarray(), slow_similarity(features, k1, k2), atol=1e-6)
    assert similarity.dtype == np.float32
    assert (similarity != similarity.T).nnz == 0
    assert (similarity.diagonal() == 1).all()


@settings(max_examples=30, deadline=None)
@given(eps=st.sampled_from([0.05, 0.3, 0.5, 0.8]), min_samples=st.integers(1, 6), seed=st.integers(0, 1000))
def test_labels_are_those_of_scikit_learn_on_the_dense_distance(eps: float, min_samples: int, seed: int) -> None:
    features = people(150, 16, seed)
    distance = 1 - jaccard_similarity(features, 10, 3).toarray()
    expected = DBSCAN(eps=eps, min_samples=min_samples, metric="precomputed").fit(distance).labels_
    np.testing.assert_array_equal(pseudo_labels(features, eps, min_samples, 10, 3), expected)


def test_blocks_and_threads_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    features, threads = people(800, 32), torch.get_num_threads()
    expected = jaccard_similarity(features, 20, 6)
    monkeypatch.setattr(jaccard, "BLOCK", 5000)
    try:
        for number in (1, 2, 3):
            torch.set_num_threads(number)
            similarity = jaccard_similarity(features, 20, 6)
            for part in ("indptr", "indices", "data"):
                np.testing.assert_array_equal(getattr(similarity, part), getattr(expected, part))
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("copies", [2, 10, 100])
def test_exact_duplicates_share_a_label(copies: int) -> None:
    features = people(40, 16).repeat(copies, 1)
    labels = pseudo_labels(features, k1=20, min_samples=2).reshape(copies, 40)
    assert (labels == labels[0]).all()
    assert (labels >= 0).all()


def test_photos_that_are_all_the_same_are_one_cluster() -> None:
    assert pseudo_labels(people(1, 16).repeat(500, 1)).tolist() == [0] * 500


@pytest.mark.parametrize("size", [0, 1, 3])
def test_fewer_photos_than_a_cluster_takes_are_noise(size: int) -> None:
    features = people(size, 16) if size else torch.empty(0, 16)
    assert pseudo_labels(features).tolist() == [-1] * size
    assert jaccard_similarity(features).shape == (size, size)


def test_one_photo_is_a_cluster_where_one_suffices() -> None:
    assert pseudo_labels(people(1, 16), min_samples=1).tolist() == [0]
    assert jaccard_similarity(people(1, 16)).toarray().tolist() == [[1.0]]


def test_any_floating_type_and_a_graph_are_taken() -> None:
    features = people(200, 16)
    expected = pseudo_labels(features, k1=10)
    np.testing.assert_array_equal(pseudo_labels(features.double().requires_grad_(), k1=10), expected)
    np.testing.assert_array_equal(pseudo_labels(features.T.contiguous().T, k1=10), expected)
    assert expected.dtype == np.int64
    assert pseudo_labels(features.half(), k1=10).max() > 0


def test_memory_is_estimated_before_it_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 24000000 kB\nMemAvailable:    102400 kB\n")
    monkeypatch.setattr(clustering, "MEMORY", tmp_path / "meminfo")
    with pytest.raises(RunError, match=r"clustering 50 photos takes about 0\.1 GiB and 0\.1 GiB are available"):
        pseudo_labels(people(50, 16))
    monkeypatch.setattr(clustering, "MEMORY", tmp_path / "missing")
    assert len(pseudo_labels(people(50, 16))) == 50


def test_the_estimate_for_a_million_photos_is_near_what_they_took() -> None:
    took = 7.6 * 2**30
    assert took < memory_needed(10**6, 512, search="approximate") < 1.2 * took


def test_wrong_input_is_named() -> None:
    features = people(50, 16)
    broken = features.clone()
    broken[7, 3], broken[9, 0] = torch.nan, torch.inf
    with pytest.raises(RunError, match=r"2 of 50 photos are not finite \(first: photo 7\)"):
        pseudo_labels(broken)
    with pytest.raises(InputError, match=r"50 of 50 photos are not of unit length \(first: photo 0, 2\)"):
        pseudo_labels(2 * features)
    with pytest.raises(InputError, match=r"torch.int64 of shape \(2, 3\)"):
        pseudo_labels(torch.zeros(2, 3, dtype=torch.int64))
    with pytest.raises(InputError, match=r"shape \(16,\)"):
        jaccard_similarity(features[0])
    for eps in (0.0, 1.0, float("nan")):
        with pytest.raises(InputError, match=r"eps is .*between 0 and 1"):
            pseudo_labels(features, eps)
    with pytest.raises(InputError, match="min_samples is 0"):
        pseudo_labels(features, min_samples=0)
    with pytest.raises(InputError, match=r"unknown search 'fast'.*exact, approximate"):
        pseudo_labels(features, search="fast")
    with pytest.raises(InputError, match="k1 is 0"):
        jaccard_similarity(features, 0)
