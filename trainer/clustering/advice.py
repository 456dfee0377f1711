"""Advice for a clustering that found no cluster or one: how far photos are apart, and an eps that would give some."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from torch import Tensor

from trainer.clustering.dbscan import dbscan
from trainer.clustering.labels import jaccard_similarity

QUANTILES = (5, 25, 50, 75, 95)
"""Of the core distances that are named, in per cent."""
TRIED = np.arange(1, 20) / 20
"""Each eps of which one is advised: 0.05, 0.10 ... 0.95."""


def advice(features: Tensor | np.ndarray, eps: float, min_samples: int, k1: int, k2: int, search: str = "exact") -> str:
    """Say in a line what `clustering.pseudo_labels` found with these settings, and which eps would give clusters.

    The distances named are `core_distances`: a photo is a core point from that eps on. The eps advised is the one of
    `TRIED` that puts the most photos into clusters other than the largest. All Jaccard distances below 1 are held in
    memory.

    Args:
        features: (N, d), unit length, as for `clustering.pseudo_labels`.
        eps: the radius that was tried.
        min_samples: photos within it that make a core point.
        k1: neighbours of the Jaccard distance.
        k2: neighbours of its query expansion.
        search: "exact" or "approximate".
    """
    similarity = jaccard_similarity(features, k1, k2, search)
    found = f"eps {eps:g} gives {_counts(_labels(similarity, eps, min_samples))}"
    if not similarity.shape[0]:
        return f"{found}: there are no photos"
    core = np.percentile(core_distances(similarity, min_samples), QUANTILES)
    spread = ", ".join(f"{q} % {distance:.2f}" for q, distance in zip(QUANTILES, core, strict=True))
    labels = [_labels(similarity, tried, min_samples) for tried in TRIED]
    best = int(np.argmax([_outside_largest(label) for label in labels]))
    hint = (
        f"eps {TRIED[best]:g} would give {_counts(labels[best])}"
        if _outside_largest(labels[best])
        else "no eps gives two clusters: lower min_samples or k1, or start from pretrained weights"
    )
    return f"{found}; {min_samples} photos, itself counted, lie within (quantiles): {spread}; {hint}"


def core_distances(similarity: sparse.csr_array, min_samples: int) -> np.ndarray:
    """Return the Jaccard distance of each photo to its min_samples-th nearest, itself counted.

    Args:
        similarity: (N, N), as `clustering.jaccard_similarity` gives it.
        min_samples: at least 1.

    Returns:
        (N,), in [0, 1]; 1 where fewer photos are at a distance below 1.
    """
    row = np.repeat(np.arange(similarity.shape[0]), np.diff(similarity.indptr))
    nearest = similarity.data[np.lexsort((-similarity.data, row))]
    far = np.diff(similarity.indptr) < min_samples
    place = np.minimum(similarity.indptr[:-1] + min_samples - 1, similarity.nnz - 1)
    return np.where(far, 1, 1 - nearest[place])


def _labels(similarity: sparse.csr_array, eps: float, min_samples: int) -> np.ndarray:
    near = similarity.copy()
    near.data[np.float32(1) - near.data > np.float32(eps)] = 0
    near.eliminate_zeros()
    return dbscan(near, min_samples)


def _outside_largest(labels: np.ndarray) -> int:
    counts = np.bincount(labels[labels >= 0], minlength=1)
    return int(counts.sum() - counts.max())


def _counts(labels: np.ndarray) -> str:
    clusters = int(labels.max(initial=-1)) + 1
    return (
        f"{clusters or 'no'} cluster{'s' * (clusters != 1)} and {(labels < 0).sum()} outliers of {len(labels)} photos"
    )
