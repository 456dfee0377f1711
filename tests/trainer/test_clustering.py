"""Pseudo labels: against the published dense way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trainer.clustering import jaccard_similarity, pseudo_labels

VECTORS = Path(__file__).parent / "vectors"


@pytest.mark.parametrize("case", ["a", "b", "c"])
def test_similarity_and_labels_equal_the_published_ones(case: str) -> None:
    v = np.load(VECTORS / f"jaccard_{case}.npz")
    k1, k2 = int(v["k1"]), int(v["k2"])
    np.testing.assert_allclose(1 - jaccard_similarity(v["features"], k1, k2).toarray(), v["distance"], atol=1e-5)
    labels = pseudo_labels(v["features"], float(v["eps"]), int(v["min_samples"]), k1, k2)
    np.testing.assert_array_equal(labels, v["labels"])
