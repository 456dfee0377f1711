"""k-reciprocal re-ranking of a gallery (Zhong et al., "Re-ranking Person Re-identification...", CVPR 2017)."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from trainer.clustering.labels import jaccard_similarity
from trainer.ranking.metrics import distance_blocks


def reranked_blocks(
    query: torch.Tensor,
    gallery: torch.Tensor,
    *,
    k1: int = 21,
    k2: int = 6,
    weight: float = 0.3,
    distance: str = "cosine",
) -> Iterator[torch.Tensor]:
    """Yield (rows, G) blocks of (1 - weight) Jaccard distance + weight * distance, the paper's eq. 12.

    query, gallery: float (Q, d) and (G, d). Neighbours are sought among all Q + G photos by cosine: k1 of them, the
    photo itself counted, for its reciprocal set (the paper's 20 and itself) and k2 for the mean of their encodings.
    They are weighted by exp(-|x - y|^2) of features of unit length, as `trainer.clustering` does; the authors' program
    divides the distances by their largest first. Most pairs have a Jaccard distance of 1, and only the others are kept.
    """
    unit = torch.nn.functional.normalize(torch.cat([query, gallery]).float())
    similarity = jaccard_similarity(unit, k1, k2)[: len(query), len(query) :]
    start = 0
    for block in distance_blocks(query, gallery, distance):
        near = similarity[start : start + len(block)].tocoo()
        start += len(block)
        block = block.mul_(weight).add_(1 - weight)
        row, column = (torch.from_numpy(index).to(block.device).long() for index in near.coords)
        block[row, column] -= (1 - weight) * torch.from_numpy(near.data).to(block)
        yield block
