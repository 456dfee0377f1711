"""Approximate nearest neighbours, for photos too many to be compared in pairs."""

from __future__ import annotations

from importlib import import_module

import torch
from torch import Tensor

from data.errors import InputError
from trainer.neighbours import ranked, search_exactly, similarities

SPARE = 16  # candidates beyond k, which are then compared exactly
PROBED = 64  # lists that are searched for a photo


def approximate_neighbours(features: Tensor, k: int) -> Tensor:
    """Return about the k most similar photos of each photo: most of what `neighbours.nearest_neighbours` finds.

    An inverted file of faiss: photos are listed under the nearest of 4 sqrt(N) centroids, and a photo is compared with
    those on the lists of the centroids nearest to it. Takes time in N^1.5 instead of N^2.

    Args:
        features: (N, d) float32, as `neighbours.on_exact_steps` gives them.
        k: from 1 to N.

    Returns:
        (N, k) int64 on the CPU: each photo its own first, the others by exact similarity.

    Raises:
        InputError: where faiss is not installed.
    """
    try:
        faiss = import_module("faiss")
    except ImportError:
        raise InputError(
            "approximate neighbours need faiss: run `pip install faiss-cpu`, or choose the exact search"
        ) from None
    features = features.cpu()
    size, d = features.shape
    count = min(k + SPARE, size)
    lists = max(1, min(round(4 * size**0.5), size // 39))  # faiss asks for 39 photos a centroid, at least
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(d), d, lists, faiss.METRIC_INNER_PRODUCT)
    index.cp.max_points_per_centroid = 64
    index.nprobe = PROBED
    faiss.omp_set_num_threads(torch.get_num_threads())
    index.train(features.numpy())
    index.add(features.numpy())
    found = torch.from_numpy(index.search(features.numpy(), count)[1])
    row = torch.arange(size)
    # A photo among more than `count` equal ones may not be found itself.
    found[(found != row[:, None]).all(dim=1), -1] = row[(found != row[:, None]).all(dim=1)]
    exact = similarities(features, row.repeat_interleave(count), found.clamp(min=0).ravel()).view_as(found)
    exact[found < 0] = -torch.inf
    neighbours, exact = ranked(row, found, exact, k)
    short = exact.isinf().any(dim=1).nonzero().ravel()
    search_exactly(features, short, k, neighbours)  # the lists searched held fewer than k photos
    return neighbours
