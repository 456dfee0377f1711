"""KISSME and XQDA: against plain loops over pairs, and against cases whose metric is known."""

from __future__ import annotations

import numpy as np
import pytest

from trainer.supervised.methods.metric import kissme, pair_covariances, principal_axes, xqda

PEOPLE = np.array([0, 0, 1, 1, 1, 2, 2, 3, 3, 3])


@pytest.fixture
def features() -> np.ndarray:
    random = np.random.default_rng(0)
    return random.normal(size=(4, 6))[PEOPLE] * 2 + random.normal(size=(10, 6))


def test_covariances_are_means_over_pairs(features: np.ndarray) -> None:
    sums = {True: np.zeros((6, 6)), False: np.zeros((6, 6))}
    pairs = {True: 0, False: 0}
    for a in range(10):
        for b in range(a):
            same = bool(PEOPLE[a] == PEOPLE[b])
            difference = features[a] - features[b]
            sums[same] += np.outer(difference, difference)
            pairs[same] += 1
    within, between = pair_covariances(features, PEOPLE)
    assert np.allclose(within, sums[True] / pairs[True])
    assert np.allclose(between, sums[False] / pairs[False])


def test_principal_axes_are_those_of_the_covariance(features: np.ndarray) -> None:
    axes = principal_axes(features, 3)
    values = np.linalg.eigvalsh(np.cov(features.T))[::-1]
    assert np.allclose(axes.T @ axes, np.eye(3))
    assert np.allclose(np.cov((features @ axes).T), np.diag(values[:3]))
    assert principal_axes(features[:4]).shape == (6, 3)  # four points span three dimensions


def test_kissme_is_the_difference_of_inverse_covariances_cut_to_what_is_positive(features: np.ndarray) -> None:
    learnt = kissme(features, PEOPLE, dimensions=6)
    within, between = pair_covariances(features, PEOPLE)
    wanted = np.linalg.inv(within) - np.linalg.inv(between)
    values, vectors = np.linalg.eigh(wanted)
    assert np.allclose(learnt.T @ learnt, vectors * values.clip(0) @ vectors.T)


def test_xqda_is_the_metric_of_the_paper_in_its_subspace(features: np.ndarray) -> None:
    """Where all eigenvalues are above 1, the subspace is all of it and the metric W^-1 - B^-1 without a cut."""
    spread = features + 20 * np.random.default_rng(1).normal(size=(4, 6))[PEOPLE]
    learnt = xqda(spread, PEOPLE, ridge=1e-9)
    axes = principal_axes(spread)
    within, between = pair_covariances(spread @ axes, PEOPLE)
    eigenvalues = np.linalg.eigvals(np.linalg.solve(within, between)).real
    assert len(learnt) == (eigenvalues > 1).sum()
    # The same by the text: project onto W, take both covariances there, invert each.
    kept = np.linalg.eig(np.linalg.solve(within, between))
    chosen = kept.eigenvectors.real[:, kept.eigenvalues.real > 1]
    inner = np.linalg.inv(chosen.T @ within @ chosen) - np.linalg.inv(chosen.T @ between @ chosen)
    wanted = axes @ chosen @ inner @ chosen.T @ axes.T
    assert np.allclose(learnt.T @ learnt, wanted, rtol=1e-5, atol=1e-8)


def test_both_look_where_people_differ_and_away_from_where_they_do_not() -> None:
    """Along the first axis people differ 10 to 1; along the second photos of one do as much as those of two."""
    random = np.random.default_rng(2)
    people = np.repeat(np.arange(400), 4)
    own = random.normal(size=(400, 1))[people] * 10
    features = np.hstack([own, np.zeros((1600, 1))]) + random.normal(size=(1600, 2))
    for learnt in (kissme(features, people), xqda(features, people)):
        weights = np.diag(learnt.T @ learnt)
        # Differences have twice a photo's variance: 1 / 2 within, 1 / 202 between.
        assert weights[0] == pytest.approx(1 / 2 - 1 / 202, rel=0.05)
        assert weights[1] < 0.02
