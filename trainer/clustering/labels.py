"""Pseudo labels: clusters of photos by k-reciprocal Jaccard distance and DBSCAN."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from data.runtime.errors import InputError, RunError
from trainer.clustering import approximate, jaccard, neighbours
from trainer.clustering.dbscan import dbscan
from trainer.method import EPS, K1, K2, MIN_SAMPLES, SEARCHES

MEMORY = Path("/proc/meminfo")

# Bytes a photo while the graph is made, of its lists and of its weights, by row and by column, each being made from
# another. Peaks were measured on 20,000 and 60,000 photos of random features, the most spread out there are, in 16 to
# 512 dimensions: these numbers lie 40 % and more above them.
_LIST_BYTES, _WEIGHT_BYTES = 60, 24
# Bytes a photo of pynndescent's trees and lists, measured at 60,000 photos in 16 and 512 dimensions, rounded up: 8.9
# GiB in all for 10^6 photos and d = 512, which took 7.6.
_APPROXIMATE_BYTES_A_NUMBER, _APPROXIMATE_BYTES_A_NEIGHBOUR = 8, 100
_PAIR_BYTES = 32  # of a pair while its minima are summed, and of what is kept of it
_UNIT_TOLERANCE = 0.01  # what half precision makes of unit length is well within it


def jaccard_similarity(
    features: Tensor | np.ndarray, k1: int = K1, k2: int = K2, search: str = "exact"
) -> sparse.csr_array:
    """Return 1 - the k-reciprocal Jaccard distance (Zhong et al. 2017) of all pairs; what is absent is 0.

    Args:
        features: (N, d), any floating type, unit length, on any device.
        k1: neighbours of a photo, itself counted; of fewer photos all are neighbours.
        k2: neighbours whose weights are averaged (query expansion); 1 takes no mean.
        search: "exact" neighbours, or those of `approximate.approximate_neighbours`, for 10^6 photos and more.

    Returns:
        (N, N) float32 in (0, 1], symmetric, the diagonal 1. The same bits whatever the number of threads.

    Raises:
        InputError: for features that are not a matrix of unit vectors, and for sizes below 1.
        RunError: for features that are not finite, and where memory is too small (see `memory_needed`).
    """
    return _graph(features, k1, k2, search, farthest=1.0)


def pseudo_labels(
    features: Tensor | np.ndarray,
    eps: float = EPS,
    min_samples: int = MIN_SAMPLES,
    k1: int = K1,
    k2: int = K2,
    search: str = "exact",
) -> np.ndarray:
    """Cluster photos by DBSCAN on their Jaccard distance, of which only pairs within eps are ever kept.

    Args:
        features: (N, d), any floating type, unit length, on any device.
        eps: largest distance of two photos that are near each other, compared in float32; above 0, below 1.
        min_samples: photos near a core photo, itself counted.
        k1: neighbours of a photo, as for `jaccard_similarity`.
        k2: neighbours whose weights are averaged, as for `jaccard_similarity`.
        search: "exact" or "approximate", as for `jaccard_similarity`.

    Returns:
        (N,) int64: clusters 0, 1, ... by their first core photo, and -1 for noise, as scikit-learn's DBSCAN gives.

    Raises:
        InputError: as `jaccard_similarity`; also for eps and min_samples out of range.
        RunError: as `jaccard_similarity`.
    """
    if not 0 < eps < 1:
        raise InputError(f"eps is {eps}: choose a Jaccard distance between 0 and 1, such as 0.4")
    if min_samples < 1:
        raise InputError(f"min_samples is {min_samples}: choose 1 or more")
    return dbscan(_graph(features, k1, k2, search, farthest=eps), min_samples)


def memory_needed(photos: int, dimensions: int, k1: int = K1, k2: int = K2, search: str = "exact") -> int:
    """Estimate the bytes that `pseudo_labels` takes above its features, from above for features of ordinary spread.

    The neighbours are sought first, then the graph is made of them: what the search took is free again by then.

    Args:
        photos: N.
        dimensions: d of the features.
        k1: neighbours of a photo.
        k2: neighbours whose weights are averaged.
        search: "exact" or "approximate".
    """
    kept = photos * (4 * dimensions + 8 * k1)  # the features on exact steps, the neighbours
    if search == "exact":
        searching = photos * 2 * dimensions + 4 * min(neighbours.ROWS * photos, neighbours.BLOCK)
    else:
        searching = photos * (_APPROXIMATE_BYTES_A_NUMBER * dimensions + _APPROXIMATE_BYTES_A_NEIGHBOUR * k1)
    graph = photos * (_LIST_BYTES * k1 + _WEIGHT_BYTES * k1 * k2)
    return kept + max(searching, graph) + _PAIR_BYTES * jaccard.BLOCK


def _check_memory(photos: int, dimensions: int, k1: int, k2: int, search: str) -> None:
    """Raise RunError where Linux has less memory available than is needed."""
    available = re.search(r"MemAvailable: +(\d+) kB", MEMORY.read_text()) if MEMORY.exists() else None
    needed = memory_needed(photos, dimensions, k1, k2, search)
    if available and needed > int(available[1]) * 1024:
        raise RunError(
            f"clustering {photos} photos takes about {needed / 2**30:.1f} GiB and {int(available[1]) / 2**20:.1f} GiB "
            "are available: free some memory, or choose smaller k1 and k2"
        )


def _graph(features: Tensor | np.ndarray, k1: int, k2: int, search: str, farthest: float) -> sparse.csr_array:
    if k1 < 1 or k2 < 1:
        raise InputError(f"k1 is {k1} and k2 is {k2}: choose 1 or more")
    if search not in SEARCHES:
        raise InputError(f"unknown search {search!r}: choose one of {', '.join(SEARCHES)}")
    checked = _checked(torch.as_tensor(features).detach())
    _check_memory(len(checked), checked.shape[1], min(k1, len(checked)), k2, search)
    exact = neighbours.on_exact_steps(checked)
    if not len(exact):
        return sparse.csr_array((0, 0), dtype=np.float32)
    find = neighbours.nearest_neighbours if search == "exact" else approximate.approximate_neighbours
    return jaccard.graph(exact, find(exact, min(k1, len(exact))).numpy(), k1, k2, farthest)


def _checked(features: Tensor) -> Tensor:
    """Return features that are a matrix of unit vectors, or say which is not."""
    if features.ndim != 2 or not features.is_floating_point():
        kind = f"{features.dtype} of shape {tuple(features.shape)}"
        raise InputError(f"features are {kind}: give one vector of floating-point numbers a photo, (N, d)")
    length = torch.linalg.vector_norm(features, dim=1).float()
    if not length.isfinite().all():
        wrong = (~length.isfinite()).nonzero().ravel()
        raise RunError(
            f"features of {len(wrong)} of {len(features)} photos are not finite (first: photo {int(wrong[0])}): "
            "the encoder has diverged; go on from an earlier checkpoint with a lower learning rate"
        )
    if ((length - 1).abs() > _UNIT_TOLERANCE).any():
        wrong = ((length - 1).abs() > _UNIT_TOLERANCE).nonzero().ravel()
        raise InputError(
            f"features of {len(wrong)} of {len(features)} photos are not of unit length "
            f"(first: photo {int(wrong[0])}, {float(length[wrong[0]]):.3g}): divide each by its length"
        )
    return features
