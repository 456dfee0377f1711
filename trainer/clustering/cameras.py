"""Cameras: what one adds to all of its photos, taken out before they are clustered; and which clusters it saw."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


def without_camera_means(features: Tensor, cameras: np.ndarray) -> Tensor:
    """Take the mean over its camera's photos out of each feature.

    Args:
        features: (N, d), of unit length.
        cameras: (N,), numbers or names.

    Returns:
        float32 (N, d), of unit length.
    """
    numbers = torch.from_numpy(np.unique(cameras, return_inverse=True)[1].astype(np.int64)).to(features.device)
    counts = torch.bincount(numbers)[:, None]
    sums = features.new_zeros(len(counts), features.shape[1]).index_add_(0, numbers, features)
    return functional.normalize(features - (sums / counts)[numbers])


def clusters_seen(labels: np.ndarray, cameras: np.ndarray) -> np.ndarray:
    """Tell of each photo which clusters its camera saw.

    Args:
        labels: int64 (N,), -1 for noise, else 0 to C - 1.
        cameras: (N,), numbers or names.

    Returns:
        bool (N, C).
    """
    numbers = np.unique(cameras, return_inverse=True)[1]
    seen = np.zeros((numbers.max(initial=-1) + 1, labels.max(initial=-1) + 1), np.bool_)
    kept = labels >= 0
    seen[numbers[kept], labels[kept]] = True
    return seen[numbers]
