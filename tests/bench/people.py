"""Synthetic features of people in outfits, for the tests and benches of clustering."""

from __future__ import annotations

import torch
from torch import Tensor


def people(photos: int, dimensions: int, seed: int = 0) -> Tensor:
    """Draw unit features (photos, dimensions) of people, 26 photos each in 3 outfits, with a falling spectrum."""
    seeded = torch.Generator().manual_seed(seed)
    spectrum = torch.arange(1, dimensions + 1) ** -0.5
    count = max(1, photos // 26)
    person = torch.randint(0, count, (photos,), generator=seeded)
    outfit = 3 * person + torch.randint(0, 3, (photos,), generator=seeded)
    features = torch.randn(photos, dimensions, generator=seeded)
    features += torch.randn(count, dimensions, generator=seeded)[person]
    features += 0.6 * torch.randn(3 * count, dimensions, generator=seeded)[outfit]
    return torch.nn.functional.normalize(features.mul_(spectrum), dim=1)
