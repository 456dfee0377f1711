"""Pseudo labels: k-reciprocal Jaccard similarity, then DBSCAN."""

from __future__ import annotations

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from trainer.dbscan import dbscan
from trainer.jaccard import jaccard_from_features


def jaccard_similarity(features: Tensor | np.ndarray, k1: int = 30, k2: int = 6) -> sparse.csr_array:
    """Return the k-reciprocal Jaccard similarity of all pairs."""
    return jaccard_from_features(torch.as_tensor(features).float(), k1, k2, 0.0)


def pseudo_labels(
    features: Tensor | np.ndarray, eps: float = 0.4, min_samples: int = 4, k1: int = 30, k2: int = 6
) -> np.ndarray:
    """Label each photo with its cluster."""
    return dbscan(jaccard_from_features(torch.as_tensor(features).float(), k1, k2, 1 - eps), min_samples)
