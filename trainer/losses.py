"""Losses: InfoNCE against a cluster memory, and the self-identity loss among the images of one photo."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from trainer.method import DISTRIBUTION_TEMPERATURE, TEMPERATURE


def distribution(features: Tensor, temperature: float = DISTRIBUTION_TEMPERATURE) -> Tensor:
    """Read each feature as a distribution over its own d numbers: softmax(f / temperature), in float32.

    Args:
        features: (..., d); the distributions have the same shape.
        temperature: above 0; 1 on features of unit length gives numbers that are all but equal.
    """
    with torch.autocast(features.device.type, enabled=False):
        return torch.softmax(features.float() / temperature, dim=-1)


def info_nce(
    features: Tensor,
    memory: Tensor,
    labels: Tensor,
    temperature: float = TEMPERATURE,
    contrasted: Tensor | None = None,
) -> Tensor:
    """Return the mean InfoNCE of features against the entries of a memory (eq. 8 of Zhang et al.), in float32.

    It is the mean over b of -log( exp(f_b . F_y(b) / temperature) / sum_c exp(f_b . F_c / temperature) ).

    Args:
        features: (B, d), unit length.
        memory: (C, d), unit length; no gradient goes to it.
        labels: (B,) int64, in 0..C-1.
        temperature: tau, above 0.
        contrasted: bool (B, C), the entries that stand in the sum of each feature, beside its own; None for all.

    Returns:
        A scalar, at least 0.
    """
    with torch.autocast(features.device.type, enabled=False):
        similarity = features.float() @ memory.detach().float().T
        if contrasted is not None:
            own = functional.one_hot(labels, len(memory)).bool()
            similarity = similarity.masked_fill(~(contrasted | own), -torch.inf)
        return functional.cross_entropy(similarity / temperature, labels)


def self_identity(features: Tensor, temperature: float = DISTRIBUTION_TEMPERATURE) -> Tensor:
    """Return how far the features of the images of one photo diverge (L_s, eq. 9 of Zhang et al.), in float32.

    With p = distribution(f), the sum over photos and over ordered pairs (i, j) of the photo's images of KL(p_i || p_j),
    divided by photos x images. For n images the sum over pairs is n sum_i <p_i - mean p, log p_i - mean log p>, where
    the normalisers of the logarithms cancel: n terms instead of n^2, and no difference of large numbers.

    Args:
        features: (photos, images, d), unit length: each photo with its redrawn versions.
        temperature: of the distributions, above 0; 1, as printed in the paper, leaves next to no gradient.

    Returns:
        A scalar, at least 0; exactly 0 for photos without a redrawn version.
    """
    with torch.autocast(features.device.type, enabled=False):
        logits = features.float() / temperature
        probabilities = torch.softmax(logits, dim=-1)
        spread = probabilities - probabilities.mean(dim=1, keepdim=True)
        return (spread * (logits - logits.mean(dim=1, keepdim=True))).sum() / len(features)
