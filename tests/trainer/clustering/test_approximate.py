"""Approximate neighbours: near the exact ones, and refused in a line where pynndescent is missing."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from data.runtime.errors import InputError
from tests.bench.people import people
from trainer.clustering.approximate import approximate_neighbours
from trainer.clustering.labels import pseudo_labels
from trainer.clustering.neighbours import nearest_neighbours, on_exact_steps


def test_without_pynndescent_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynndescent", None)
    with pytest.raises(InputError, match="pip install pynndescent"):
        pseudo_labels(people(50, 16), search="approximate")


def test_most_neighbours_and_labels_are_the_exact_ones() -> None:
    features = on_exact_steps(people(3000, 64))
    found, exact = approximate_neighbours(features, 20).numpy(), nearest_neighbours(features, 20).numpy()
    assert (found[:, 0] == np.arange(3000)).all()
    assert np.mean([len(np.intersect1d(f, e)) for f, e in zip(found, exact, strict=True)]) > 0.99 * 20
    labels, expected = (pseudo_labels(features, k1=20, search=search) for search in ("approximate", "exact"))
    assert adjusted_rand_score(expected, labels) > 0.95


@pytest.mark.parametrize(("size", "copies", "k"), [(1, 1, 1), (5, 1, 5), (2, 200, 20), (30, 100, 20)])
def test_few_photos_and_many_equal_ones_have_k_neighbours_each(size: int, copies: int, k: int) -> None:
    features = on_exact_steps(people(size, 16).repeat(copies, 1))
    found = approximate_neighbours(features, k)
    assert found[:, 0].tolist() == list(range(size * copies))
    assert all(len(set(row)) == k for row in found.tolist())
    assert torch.equal(found.sort(dim=1).values[:, 0] >= 0, torch.ones(len(found), dtype=torch.bool))
