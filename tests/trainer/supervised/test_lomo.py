"""LOMO: against plain loops over windows and pixels, and how a learnt metric becomes directions."""

from __future__ import annotations

import colorsys
import math

import numpy as np
import torch

from trainer.encoder import Encoder
from trainer.encoder.networks.lomo import NUMBERS, Lomo, hsv_bins, lomo, retinex, siltp, stripe_maxima


def pictures(count: int, height: int = 128, width: int = 48) -> torch.Tensor:
    """Pictures of smooth colour with noise on it, (count, 3, height, width) in [0, 1]."""
    random = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 3, 6, 4, generator=random)
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    return (smooth + 0.1 * torch.rand(count, 3, height, width, generator=random)).clamp(0, 1)


def test_of_a_picture_of_128x48_there_are_26960_numbers() -> None:
    features = lomo(pictures(2))
    assert features.shape == (2, NUMBERS)
    # Colours, and textures of two radii, have unit length each.
    parts = features.split([40 * 512, 40 * 81, 40 * 81], dim=1)
    assert all(torch.allclose(part.norm(dim=1), torch.ones(2)) for part in parts)


def test_hues_saturations_and_values_are_those_of_colorsys() -> None:
    [picture] = pictures(1, 20, 10)
    picture[:, 0, :4] = torch.tensor([[0.0, 1.0, 0.5, 0.0], [0.0, 1.0, 0.5, 0.0], [0.0, 1.0, 0.5, 1.0]])
    bins = hsv_bins(picture[None])[0]
    for row in range(20):
        for column in range(10):
            exact = [8 * part for part in colorsys.rgb_to_hsv(*picture[:, row, column].tolist())]
            for found, wanted in zip(bins[:, row, column].tolist(), exact, strict=True):
                near_edge = abs(wanted - round(wanted)) < 1e-4
                assert found == min(int(wanted), 7) or near_edge


def test_texture_codes_compare_four_neighbours_by_their_share() -> None:
    grey = pictures(1, 14, 12)[:, 0]
    for radius in (3, 5):
        codes = siltp(grey, radius)[0]
        for row in range(14):
            for column in range(12):
                here, code = float(grey[0, row, column]), 0
                for place, (down, across) in enumerate(((0, 1), (-1, 0), (0, -1), (1, 0))):
                    at = min(max(row + radius * down, 0), 13), min(max(column + radius * across, 0), 11)
                    there = float(grey[0, at[0], at[1]])
                    code += 3**place * (1 if there < 0.7 * here else 2 if there > 1.3 * here else 0)
                assert codes[row, column] == code


def test_of_windows_side_by_side_the_greatest_count_is_kept() -> None:
    codes = torch.randint(0, 5, (2, 23, 21), generator=torch.Generator().manual_seed(1))
    found = stripe_maxima(codes, 5).view(2, 3, 5)
    for picture in range(2):
        for height, top in enumerate(range(0, 23 - 10 + 1, 5)):
            windows = [codes[picture, top : top + 10, left : left + 10].flatten() for left in range(0, 21 - 10 + 1, 5)]
            wanted = torch.stack([torch.bincount(window, minlength=5) for window in windows]).amax(0)
            assert torch.equal(found[picture, height], wanted.float())


def test_retinex_takes_light_away_and_keeps_to_the_unit() -> None:
    """A picture in half the light comes out as it does in full light, but for the 1 that is added to its bytes."""
    picture = 0.5 + 0.5 * pictures(1)
    full, half = retinex(picture), retinex(picture / 2)
    assert full.min() == 0
    assert full.max() == 1
    assert (full - half).abs().max() < 0.02
    assert not torch.allclose(full, picture)


def test_cosines_of_directions_rank_as_the_metric_does() -> None:
    """With the radius far away, angles are distances over the radius."""
    encoder = Encoder(Lomo(4), 4, neck=False)
    assert isinstance(encoder.body, Lomo)
    random = torch.Generator().manual_seed(2)
    encoder.body.projection.copy_(torch.randn(3, NUMBERS, generator=random))
    features = lomo(pictures(12))
    encoder.body.mean.copy_(features.mean(0))
    mapped = (features - features.mean(0)) @ encoder.body.projection.T
    encoder.body.radius.copy_(16 * mapped.norm(dim=1).max())
    directions = encoder(pictures(12)).double()
    distances = torch.cdist(mapped.double(), mapped.double()).numpy()
    angles = np.arccos((directions @ directions.T).numpy().clip(-1, 1)) * float(encoder.body.radius)
    apart = ~np.eye(12, dtype=bool)
    assert np.allclose(angles[apart] / distances[apart], 1, atol=0.01)
    assert math.isclose(float(directions[0].norm()), 1, rel_tol=1e-6)
