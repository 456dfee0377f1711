"""Losses that several supervised methods share: identity with smoothed labels, and triplets with the hardest."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

SMOOTHING = 0.1
MARGIN = 0.3
"""Both as in Luo et al., Bag of Tricks, CVPR Workshops 2019."""


def identity(logits: Tensor, people: Tensor, smoothing: float = SMOOTHING) -> Tensor:
    """Return the mean cross entropy of logits (B, P) against people, int64 (B,), in float32.

    Args:
        logits: before the softmax.
        people: the right classes.
        smoothing: share of the right class that goes to all classes alike (Szegedy et al. 2016); 0 for none.
    """
    return F.cross_entropy(logits.float(), people, label_smoothing=smoothing)


def hardest_triplets(vectors: Tensor, people: Tensor, margin: float = MARGIN) -> Tensor:
    """Return the batch-hard triplet loss (Hermans, Beyer, Leibe 2017, eq. 5), in float32.

    The mean over photos a of max(0, margin + max_p |a - p| - min_n |a - n|), p of a's person, n of others.

    Args:
        vectors: (B, d), of two people at least.
        people: int64 (B,).
        margin: at least 0.
    """
    distance = pairwise_distance(vectors.float())
    same = people[:, None] == people
    farthest = distance.masked_fill(~same, 0.0).amax(1)
    nearest = distance.masked_fill(same, float("inf")).amin(1)
    return F.relu(margin + farthest - nearest).mean()


def pairwise_distance(vectors: Tensor) -> Tensor:
    """Give Euclidean distances (B, B) of vectors (B, d), with a gradient also where two are the same."""
    squares = vectors.square().sum(1)
    squared = squares[:, None] + squares - 2 * vectors @ vectors.T
    return squared.clamp_min(1e-12).sqrt()
