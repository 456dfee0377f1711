"""KISSME and XQDA: metrics in closed form, from the differences within and between people.

Both look at the covariance W of differences of photos of one person and B of those of two, and measure

    d(x, y)^2 = (x - y)^T (W^-1 - B^-1) (x - y),

the logarithm of how much likelier the difference is between two people than within one, both taken for Gaussian.

KISSME: Koestinger, Hirzer, Wohlhart, Roth, Bischof, "Large Scale Metric Learning from Equivalence Constraints", CVPR
2012: after PCA; a matrix that is not positive semi-definite is cut to the nearest that is.

XQDA: Liao, Hu, Zhu, Li, "Person Re-identification by Local Maximal Occurrence Representation and Metric Learning", CVPR
2015: in the subspace of the generalised eigenvectors B w = lambda W w with lambda > 1 (eq. 7 and 8), where W is the
identity and B diagonal, so that the metric is 1 - 1 / lambda along each of them.

Covariances are over all pairs of photos, of whatever cameras; the papers have two cameras and pair photos across them.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg

KISSME_DIMENSIONS = 100
"""Of PCA before KISSME, as in the comparison of Liao et al."""
RIDGE = 1e-3
"""Is added to W's diagonal, as in the public code of XQDA."""


def pair_covariances(features: np.ndarray, people: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give W and B, both (d, d): means of (x - y)(x - y)^T over pairs of one person, and over pairs of two.

    Sums over the n_c photos of each person are enough: over the pairs of one, n_c sum x x^T - (sum x)(sum x)^T.

    Args:
        features: (N, d).
        people: int64 (N,), 0 to P - 1, each with two photos at least, P at least 2.
    """
    counts = np.bincount(people).astype(features.dtype)
    sums = np.zeros((len(counts), features.shape[1]), features.dtype)
    np.add.at(sums, people, features)
    within = (features * counts[people][:, None]).T @ features - sums.T @ sums
    total = sums.sum(0)
    everything = len(features) * features.T @ features - np.outer(total, total)
    pairs = (counts * (counts - 1) / 2).sum()
    all_pairs = len(features) * (len(features) - 1) / 2
    return within / pairs, (everything - within) / (all_pairs - pairs)


def principal_axes(features: np.ndarray, dimensions: int | None = None) -> np.ndarray:
    """Give the axes, (d, k), of the k largest variances of features (N, d); by default all that are not nothing."""
    centred = features - features.mean(0)
    # By the Gram matrix: there are far fewer photos than numbers.
    values, vectors = np.linalg.eigh(centred @ centred.T)
    kept = np.flatnonzero(values > values[-1] * 1e-10)[::-1][:dimensions]
    return centred.T @ (vectors[:, kept] / np.sqrt(values[kept]))


def kissme(features: np.ndarray, people: np.ndarray, dimensions: int = KISSME_DIMENSIONS) -> np.ndarray:
    """Learn a metric by KISSME: a map L, (r, d), such that the distance is |L (x - y)|.

    Args:
        features: (N, d).
        people: int64 (N,), 0 to P - 1.
        dimensions: of PCA before it.
    """
    axes = principal_axes(features, dimensions)
    within, between = pair_covariances(features @ axes, people)
    values, vectors = np.linalg.eigh(np.linalg.inv(within) - np.linalg.inv(between))
    kept = values > 0
    return np.sqrt(values[kept])[:, None] * vectors[:, kept].T @ axes.T


def xqda(features: np.ndarray, people: np.ndarray, ridge: float = RIDGE) -> np.ndarray:
    """Learn a subspace and a metric by XQDA: a map L, (r, d), such that the distance is |L (x - y)|.

    Args:
        features: (N, d).
        people: int64 (N,), 0 to P - 1.
        ridge: above 0.
    """
    axes = principal_axes(features)
    within, between = pair_covariances(features @ axes, people)
    values, vectors = scipy.linalg.eigh(between, within + ridge * np.eye(len(within)))
    kept = values > 1
    return np.sqrt(1 - 1 / values[kept])[:, None] * vectors[:, kept].T @ axes.T
