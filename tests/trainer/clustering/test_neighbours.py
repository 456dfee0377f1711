"""Nearest neighbours: exact whatever the number format, the number of threads and the ties."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from trainer.clustering import neighbours


def unit(size: int, d: int, seed: int = 0, spread: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    features = 1 + spread * torch.randn(size, d, generator=generator)
    return neighbours.on_exact_steps(functional.normalize(features, dim=1))


def expected_neighbours(features: Tensor, k: int) -> np.ndarray:
    """Sort whole rows: by exact similarity, then distance in index, then index."""
    x = features.double().numpy()
    index = np.arange(len(x))
    similarity = x @ x.T
    return np.stack([np.lexsort((index, abs(index - i), -similarity[i]))[:k] for i in index]) if len(x) else index


def in_coarse_format_first(monkeypatch: pytest.MonkeyPatch) -> list[tuple[torch.dtype, int, int]]:
    """Take bfloat16 for the fastest; in the list returned each search notes its format, photos and those left over."""
    monkeypatch.setattr(neighbours, "_seconds", lambda features: features.element_size())
    searched: list[tuple[torch.dtype, int, int]] = []
    search: Callable[..., Tensor] = neighbours._search

    def noting(features: Tensor, form: neighbours._Format, left: Tensor, k: int, found: Tensor) -> Tensor:
        uncertain = search(features, form, left, k, found)
        searched.append((form.features.dtype, len(left), len(uncertain)))
        return uncertain

    monkeypatch.setattr(neighbours, "_search", noting)
    return searched


def test_a_coarse_search_is_certified(monkeypatch: pytest.MonkeyPatch) -> None:
    searched = in_coarse_format_first(monkeypatch)
    features = unit(700, 64, spread=4.0)
    np.testing.assert_array_equal(neighbours.nearest_neighbours(features, 20), expected_neighbours(features, 20))
    assert searched[0][:2] == (torch.bfloat16, 700)
    assert searched[0][2] < 100


def test_photos_without_certificate_are_repaired_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    searched = in_coarse_format_first(monkeypatch)
    features = unit(700, 64, spread=0.02)
    features[::2] *= -1  # a mean of zero, and all similarities within a few errors of bfloat16 from 1 or -1
    np.testing.assert_array_equal(neighbours.nearest_neighbours(features, 20), expected_neighbours(features, 20))
    (_, _, left), (dtype, repaired, uncertain) = searched
    assert left == repaired > 600
    assert dtype == torch.float32
    assert uncertain == 0


def test_photos_alike_to_float32_are_repaired_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    searched = in_coarse_format_first(monkeypatch)
    features = unit(700, 64, spread=1e-4)
    np.testing.assert_array_equal(neighbours.nearest_neighbours(features, 20), expected_neighbours(features, 20))
    assert searched[1][2] > 600


@settings(max_examples=40, deadline=None)
@given(size=st.integers(150, 260), d=st.integers(1, 6), values=st.integers(1, 3), seed=st.integers(0, 1000))
def test_ties_and_duplicates_keep_their_order(size: int, d: int, values: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    grid = torch.from_numpy(random.integers(-values, values + 1, (size, d))).float() + 0.5
    features = neighbours.on_exact_steps(functional.normalize(grid, dim=1))
    with pytest.MonkeyPatch.context() as monkeypatch:
        in_coarse_format_first(monkeypatch)
        monkeypatch.setattr(neighbours, "SPARE", 3)
        monkeypatch.setattr(neighbours, "ROWS", 64)
        np.testing.assert_array_equal(neighbours.nearest_neighbours(features, 5), expected_neighbours(features, 5))


@pytest.mark.parametrize(("size", "k"), [(0, 1), (1, 1), (2, 2), (30, 30), (50, 7)])
def test_few_photos(size: int, k: int) -> None:
    features = unit(size, 8)
    np.testing.assert_array_equal(
        neighbours.nearest_neighbours(features, k), expected_neighbours(features, k).reshape(size, k)
    )


def test_more_equal_photos_than_neighbours_are_linked_in_a_chain() -> None:
    features = unit(1, 8).repeat(300, 1)
    found = neighbours.nearest_neighbours(features, 5)
    assert found[0].tolist() == [0, 1, 2, 3, 4]
    assert found[100].tolist() == [100, 99, 101, 98, 102]


def test_similarities_are_exact_in_any_order() -> None:
    features = unit(60, 300)
    row, column = torch.cartesian_prod(torch.arange(60), torch.arange(60)).unbind(1)
    product = neighbours.similarities(features, row, column)
    shuffled = torch.randperm(300, generator=torch.Generator().manual_seed(1))
    assert torch.equal(neighbours.similarities(features[:, shuffled].contiguous(), row, column), product)
    assert torch.equal(product.view(60, 60), features.double() @ features.double().T)


def test_the_users_precision_is_put_back_and_autocast_changes_nothing() -> None:
    features = unit(400, 16)
    plain = neighbours.nearest_neighbours(features, 10)
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(neighbours.nearest_neighbours(features, 10), plain)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(precision)


def test_photos_that_are_all_alike_are_certified_by_what_tells_them_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    searched = in_coarse_format_first(monkeypatch)
    features = unit(700, 64, spread=0.25)
    assert (features @ features.T).mean() > 0.9
    np.testing.assert_array_equal(neighbours.nearest_neighbours(features, 20), expected_neighbours(features, 20))
    assert searched[0][2] < 70


def test_the_users_number_of_threads_is_put_back() -> None:
    code = (
        "import torch; from trainer.clustering import neighbours; torch.set_num_threads(1)\n"
        "pair = torch.zeros(1, dtype=torch.int64); neighbours.similarities(torch.ones(1, 4), pair, pair)\n"
        "print(torch.get_num_threads())"
    )
    environment = {**os.environ, "NUMBA_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1"]
