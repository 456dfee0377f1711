"""Nearest neighbours by cosine similarity, exactly."""

from __future__ import annotations

import torch
from torch import Tensor

ROWS = 256


def nearest_neighbours(features: Tensor, k: int) -> Tensor:
    """Return the k most similar photos of each photo, itself among them, the most similar first.

    Args:
        features: (N, d) float32, unit length.
        k: at most N.

    Returns:
        (N, k) int64 indices. Of equal similarities the lower index comes first.
    """
    found = torch.empty(len(features), k, dtype=torch.int64, device=features.device)
    for start in range(0, len(features), ROWS):
        similarity = features[start : start + ROWS] @ features.T
        found[start : start + ROWS] = similarity.topk(k).indices
    return found
