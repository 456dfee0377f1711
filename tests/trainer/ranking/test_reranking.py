from __future__ import annotations

import numpy as np
import pytest
import torch

from trainer.ranking import metrics as ranking
from trainer.ranking.reranking import reranked_blocks


def dense(query: np.ndarray, gallery: np.ndarray, k1: int, k2: int, weight: float) -> np.ndarray:
    """Section 3 of Zhong et al., photo by photo."""
    x = np.concatenate([query, gallery]).astype(np.float64)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    squared = ((x[:, None] - x) ** 2).sum(2)
    order = squared.argsort(1, kind="stable")

    def reciprocal(i: int, k: int) -> set[int]:
        return {j for j in order[i, :k] if i in order[j, :k]}

    half = round(k1 / 2) + 1
    encoding = np.zeros_like(squared)
    for i in range(len(x)):
        members = reciprocal(i, k1)
        for j in sorted(members):
            candidate = reciprocal(j, half)
            if len(candidate & reciprocal(i, k1)) > 2 / 3 * len(candidate):
                members |= candidate
        chosen = sorted(members)
        encoding[i, chosen] = np.exp(-squared[i, chosen])
    encoding /= encoding.sum(1, keepdims=True)
    encoding = encoding[order[:, :k2]].mean(1)
    minimum = np.minimum(encoding[:, None], encoding).sum(2)
    maximum = np.maximum(encoding[:, None], encoding).sum(2)
    jaccard = (1 - minimum / maximum)[: len(query), len(query) :]
    cosine = squared[: len(query), len(query) :] / 2
    return (1 - weight) * jaccard + weight * cosine


@pytest.mark.parametrize(("k1", "k2", "weight"), [(21, 6, 0.3), (8, 1, 0.0), (5, 3, 0.7)])
def test_parity_with_a_plain_dense_version(monkeypatch: pytest.MonkeyPatch, k1: int, k2: int, weight: float) -> None:
    monkeypatch.setattr(ranking, "_BLOCK_ELEMENTS", 600)
    random = np.random.default_rng(k1)
    people = random.normal(size=(12, 16))
    query, gallery = (
        (people[random.integers(0, 12, number)] + 0.6 * random.normal(size=(number, 16))).astype(np.float32)
        for number in (25, 80)
    )
    blocks = list(reranked_blocks(torch.from_numpy(query), torch.from_numpy(gallery), k1=k1, k2=k2, weight=weight))
    assert len(blocks) > 1
    expected = dense(query, gallery, k1, k2, weight)
    assert expected.std() > 0.05
    np.testing.assert_allclose(torch.cat(blocks), expected, atol=2e-5)
