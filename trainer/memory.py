"""A cluster memory: one vector for each cluster, with which features are contrasted."""

from __future__ import annotations

from typing import get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainer.losses import info_nce
from trainer.method import DISTRIBUTION_TEMPERATURE, TEMPERATURE, Update


class ClusterMemory(nn.Module):
    """One unit vector for each of C clusters: `loss` contrasts features with them, `step` moves them to a batch.

    F <- momentum F + (1 - momentum) f, then unit length (eq. 6 and 7 of Zhang et al.), where for each cluster f is

    - "instance": each feature of the cluster in turn, in the order of the batch (Cluster Contrast, Dai et al. 2021);
    - "average": the mean of the cluster's features in the batch;
    - "hardest": the feature with the largest KL(p(f) || p(F)), p(f) = softmax(f / distribution_temperature), as in L_s;
    - "hardest-cosine": the feature least similar to F by cosine (Cluster Contrast).

    Of features that are equally hard the first of the batch is taken. Clusters without a feature in the batch stay.
    A step is a function of the memory and the batch alone and adds in a fixed order, so that processes which pass the
    same gathered batch keep equal memories. The only state is the buffer `features`, in float32.

    Args:
        initial: (C, d), what the clusters start from; scaled to unit length.
        momentum: in [0, 1], the share of F that a step keeps.
        update: one of the four names above.
        distribution_temperature: above 0, at which "hardest" reads features as distributions; the others have no use
            for it.

    Raises:
        ValueError: for an unknown update, a momentum outside [0, 1], or an initial that is not a matrix.
    """

    features: Tensor

    def __init__(
        self,
        initial: Tensor,
        momentum: float,
        update: Update,
        distribution_temperature: float = DISTRIBUTION_TEMPERATURE,
    ) -> None:
        super().__init__()
        if update not in get_args(Update):
            raise ValueError(f"unknown update {update!r}: choose one of {', '.join(get_args(Update))}")
        if not 0 <= momentum <= 1:
            raise ValueError(f"momentum is {momentum}: choose a number from 0 to 1")
        if initial.ndim != 2:
            raise ValueError(f"initial has shape {tuple(initial.shape)}: give one vector a cluster, (C, d)")
        self.momentum = momentum
        self.update = update
        self.distribution_temperature = distribution_temperature
        self.register_buffer("features", functional.normalize(initial.detach().float(), dim=1))

    def loss(
        self, features: Tensor, labels: Tensor, temperature: float = TEMPERATURE, contrasted: Tensor | None = None
    ) -> Tensor:
        """Contrast features with the memory by InfoNCE (eq. 8), a scalar; no gradient goes to the memory.

        Args:
            features: (B, d), unit length.
            labels: (B,) int64, in 0..C-1.
            temperature: tau, above 0.
            contrasted: bool (B, C), the clusters that each feature is held against, beside its own; None for all.
        """
        return info_nce(features, self.features, labels, temperature, contrasted)

    @torch.no_grad()
    def step(self, features: Tensor, labels: Tensor) -> None:
        """Move the vector of each cluster in the batch towards its features, as `update` says (eq. 6 and 7).

        Args:
            features: (B, d), unit length.
            labels: (B,) int64, in 0..C-1.
        """
        with torch.autocast(features.device.type, enabled=False):
            clusters, grouped, present = _group(features.detach().float(), labels)
            old = self.features[clusters]
            if self.update == "instance":
                new = old
                # Clusters are independent of each other: the t-th features of all clusters make one vectorised step.
                for feature, there in zip(grouped.unbind(1), present.unbind(1), strict=True):
                    new = torch.where(there[:, None], self._blend(new, feature), new)
            elif self.update == "average":
                new = self._blend(old, grouped.sum(dim=1) / present.sum(dim=1, keepdim=True))
            else:
                hardness = self._hardness(grouped, old[:, None])
                hardest = hardness.masked_fill(~present, -torch.inf).argmax(dim=1)
                new = self._blend(old, grouped[torch.arange(len(grouped), device=grouped.device), hardest])
            # Not in place: the graph of a loss that is still to be backpropagated holds the old memory.
            self.features = self.features.index_copy(0, clusters, new)

    def _hardness(self, features: Tensor, memory: Tensor) -> Tensor:
        if self.update == "hardest-cosine":
            return -(features * memory).sum(dim=-1)
        # In logarithms: at low temperatures the distributions themselves hold zeros, whose ratio is not a number.
        ours, theirs = (torch.log_softmax(x / self.distribution_temperature, dim=-1) for x in (features, memory))
        return (ours.exp() * (ours - theirs)).sum(dim=-1)

    def _blend(self, old: Tensor, target: Tensor) -> Tensor:
        return functional.normalize(self.momentum * old + (1 - self.momentum) * target, dim=1)


def _group(features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Lay a batch out by cluster: clusters (U,), their features (U, most, d) in batch order, 0 where not present."""
    clusters, cluster, counts = torch.unique(labels, return_inverse=True, return_counts=True)
    order = torch.argsort(cluster, stable=True)
    cluster = cluster[order]
    place = torch.arange(len(labels), device=labels.device) - (counts.cumsum(0) - counts)[cluster]
    most = int(counts.max()) if len(counts) else 1
    grouped = features.new_zeros(len(clusters), most, features.shape[1])
    grouped[cluster, place] = features[order]
    return clusters, grouped, torch.arange(most, device=labels.device) < counts[:, None]
