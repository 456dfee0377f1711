"""DBSCAN on a sparse similarity graph."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

NOISE = -1


def dbscan(near: sparse.csr_array, min_samples: int) -> np.ndarray:
    """Cluster the points of a neighbourhood graph as scikit-learn's DBSCAN does (Ester et al. 1996).

    A core point has at least min_samples points near it, itself included; core points near each other share a cluster;
    clusters are numbered by their first core point; any other point near a core point goes to the lowest-numbered of
    the clusters of such core points, which is the one scikit-learn grows first; what is left is noise.

    Args:
        near: (N, N), symmetric; a stored entry says that two points are near. A point is near itself, stored or not.
        min_samples: at least 1.

    Returns:
        (N,) int64: the clusters 0, 1, ... and -1 for noise.
    """
    size = near.shape[0]
    row = np.repeat(np.arange(size), np.diff(near.indptr))
    column = near.indices
    core = np.bincount(row[row != column], minlength=size) + 1 >= min_samples
    labels = np.full(size, NOISE, dtype=np.int64)
    if not core.any():
        return labels
    between = core[row] & core[column]
    links = sparse.coo_array((np.ones(between.sum(), np.int8), (row[between], column[between])), shape=near.shape)
    component = connected_components(links.tocsr(), directed=False)[1][core]
    _, first, inverse = np.unique(component, return_index=True, return_inverse=True)
    labels[core] = np.argsort(np.argsort(first))[inverse]
    border = core[row] & ~core[column]
    unclaimed = np.iinfo(np.int64).max
    claim = np.full(size, unclaimed)
    np.minimum.at(claim, column[border], labels[row[border]])
    return np.where(claim < unclaimed, claim, labels)
