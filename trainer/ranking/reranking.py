"""k-reciprocal re-ranking of a gallery (Zhong et al., "Re-ranking Person Re-identification...", CVPR 2017)."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from trainer.clustering.labels import jaccard_similarity
from trainer.ranking.metrics import distance_blocks

# The paper's values; its k1 of 20 does not count the photo itself.
K1, K2, WEIGHT = 21, 6, 0.3


def reranked_blocks(
    query: torch.Tensor, gallery: torch.Tensor, k1: int = K1, k2: int = K2, weight: float = WEIGHT
) -> Iterator[torch.Tensor]:
    """Yield (rows, G) blocks of (1 - weight) Jaccard distance + weight * cosine distance, the paper's eq. 12.

    Neighbours are sought among all Q + G photos by cosine, and weighted by exp(-|x - y|^2) of features of unit length,
    as `trainer.clustering` does; the authors' program divides the distances by their largest first. Most pairs have a
    Jaccard distance of 1, and only the others are kept.

    Args:
        query: features of the queries, float (Q, d), of any length.
        gallery: features of the gallery, float (G, d).
        k1: neighbours that make a photo's reciprocal set, the photo itself counted.
        k2: neighbours over whose encodings the mean is taken, the photo itself counted.
        weight: in [0, 1], the paper's lambda: the share of the original distance.
    """
    unit = torch.nn.functional.normalize(torch.cat([query, gallery]).float())
    similarity = jaccard_similarity(unit, k1, k2)[: len(query), len(query) :]
    start = 0
    for block in distance_blocks(query, gallery):
        near = similarity[start : start + len(block)].tocoo()
        start += len(block)
        block = block.mul_(weight).add_(1 - weight)
        row, column = (torch.from_numpy(index).to(block.device).long() for index in near.coords)
        block[row, column] -= (1 - weight) * torch.from_numpy(near.data).to(block)
        yield block
