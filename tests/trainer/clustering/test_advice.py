"""Advice on eps: its own advice, taken, gives the clusters it names."""

from __future__ import annotations

import re

import numpy as np
import torch

from tests.bench.people import people
from trainer.clustering.advice import advice, core_distances
from trainer.clustering.labels import jaccard_similarity, pseudo_labels


def test_the_eps_advised_gives_the_clusters_named() -> None:
    features = people(200, 16)
    assert pseudo_labels(features, 0.01, 4, 10, 3).max() == -1
    text = advice(features, 0.01, 4, 10, 3)
    named = re.search(
        r"eps 0.01 gives no clusters and 200 outliers of 200 photos; .*; eps (\S+) would give (\d+)", text
    )
    assert named, text
    assert int(named[2]) >= 2
    assert pseudo_labels(features, float(named[1]), 4, 10, 3).max() + 1 == int(named[2])
    assert "\n" not in text


def test_where_no_eps_helps_it_says_what_else_to_change() -> None:
    assert "no eps gives two clusters: lower min_samples" in advice(people(3, 16), 0.4, 4, 10, 3)
    assert "there are no photos" in advice(torch.empty(0, 16), 0.4, 4, 10, 3)


def test_core_distances_are_those_of_the_sorted_dense_rows() -> None:
    similarity = jaccard_similarity(people(120, 16), 8, 3)
    expected = np.sort(1 - similarity.toarray(), axis=1)
    for min_samples in (1, 4, 60):
        np.testing.assert_array_equal(core_distances(similarity, min_samples), expected[:, min_samples - 1])
