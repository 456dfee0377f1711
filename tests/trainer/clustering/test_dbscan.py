"""DBSCAN on a sparse graph: scikit-learn's own labels, number for number."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.cluster import DBSCAN

from trainer.clustering.dbscan import dbscan


@settings(max_examples=300, deadline=None)
@given(size=st.integers(1, 30), density=st.floats(0, 0.4), min_samples=st.integers(1, 6), seed=st.integers(0, 10_000))
def test_labels_equal_those_of_scikit_learn(size: int, density: float, min_samples: int, seed: int) -> None:
    near = np.triu(np.random.default_rng(seed).random((size, size)) < density, 1)
    near = near | near.T
    distance = np.where(near | np.eye(size, dtype=bool), 0.2, 0.9)
    expected = DBSCAN(eps=0.5, min_samples=min_samples, metric="precomputed").fit(distance).labels_
    np.testing.assert_array_equal(dbscan(sparse.csr_array(near), min_samples), expected)
    with_diagonal = sparse.csr_array(near | np.eye(size, dtype=bool))
    np.testing.assert_array_equal(dbscan(with_diagonal, min_samples), expected)


def test_a_border_point_goes_to_the_cluster_with_the_first_core_point() -> None:
    near = np.zeros((9, 9), bool)
    for clique in ([1, 2, 3, 4], [5, 6, 7, 8]):
        near[np.ix_(clique, clique)] = True
    near[0, [5, 1]] = near[[5, 1], 0] = True  # point 0, not a core point of 4, lies near both cliques
    assert dbscan(sparse.csr_array(near), 4).tolist() == [0, 0, 0, 0, 0, 1, 1, 1, 1]


def test_no_point_has_no_label() -> None:
    assert dbscan(sparse.csr_array((0, 0)), 4).shape == (0,)
