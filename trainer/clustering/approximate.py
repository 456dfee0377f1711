"""Approximate nearest neighbours, for photos too many to be compared in pairs."""

from __future__ import annotations

from importlib import import_module

import torch
from torch import Tensor

from data.runtime.errors import InputError
from trainer.clustering.neighbours import compiled_threads, nearest_neighbours, ranked, search_exactly, similarities

# Up to so many photos are compared in pairs, which takes a moment.
FEWEST = 2048
# Times k neighbours are sought and the nearest k kept; found by trying: recall grows faster with it than time does.
WIDER = 2


def approximate_neighbours(features: Tensor, k: int) -> Tensor:
    """Return about the k most similar photos of each photo: most of what `neighbours.nearest_neighbours` finds.

    By pynndescent (nearest neighbour descent, Dong et al. 2011): neighbours of neighbours are tried until few are new,
    in time that grows little faster than N. Of what was tried on features of people it finds the most: in about the
    same time HNSW and an inverted file (faiss) missed an eighth and a quarter of a person's nearest photos.

    Args:
        features: (N, d) float32, as `on_exact_steps` gives them; on a GPU they are brought to the CPU.
        k: from 1 to N.

    Returns:
        (N, k) int64 on the CPU: each photo its own first, the others by exact similarity. The same for the same
        features and number of threads.

    Raises:
        InputError: where pynndescent is not installed.
    """
    try:
        pynndescent = import_module("pynndescent")
    except ImportError:
        raise InputError(
            "approximate neighbours need pynndescent: run `pip install pynndescent`, or choose the exact search"
        ) from None
    features = features.cpu()
    size = len(features)
    wider = WIDER * k
    if size <= max(FEWEST, wider):
        return nearest_neighbours(features, k)
    # Of vectors of unit length the nearest are the most similar.
    with compiled_threads(features.numel()) as threads:
        index = pynndescent.NNDescent(
            features.numpy(), metric="euclidean", n_neighbors=wider, random_state=0, n_jobs=threads
        )
    found = torch.from_numpy(index.neighbor_graph[0]).long()
    row = torch.arange(size)
    # A photo among many equal ones may not be found itself.
    lost = (found != row[:, None]).all(dim=1)
    found[lost, -1] = row[lost]
    exact = similarities(features, row.repeat_interleave(wider), found.clamp(min=0).ravel()).view_as(found)
    exact[found < 0] = -torch.inf
    neighbours, exact = ranked(row, found, exact, k)
    search_exactly(features, exact.isinf().any(dim=1).nonzero().ravel(), k, neighbours)  # fewer than k were found
    return neighbours
