"""Losses of the supervised methods, against plain loops and against cases that can be said in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from data.annotation import Region
from trainer.supervised.losses import hardest_triplets, identity
from trainer.supervised.methods.cal import adversarial
from trainer.supervised.methods.fsam import body_masks, divergence
from trainer.supervised.methods.sgps import exchange_garments
from trainer.supervised.objective import CosineClassifier


@pytest.fixture
def vectors() -> Tensor:
    return torch.randn(8, 5, generator=torch.Generator().manual_seed(0))


PEOPLE = torch.tensor([0, 0, 1, 1, 1, 2, 2, 0])


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_identity_is_the_cross_entropy_of_smoothed_labels(vectors: Tensor, smoothing: float) -> None:
    total = 0.0
    for logits, person in zip(vectors.tolist(), PEOPLE.tolist(), strict=True):
        normaliser = math.log(sum(math.exp(x) for x in logits))
        total -= sum(((1 - smoothing) * (k == person) + smoothing / 5) * (logits[k] - normaliser) for k in range(5))
    assert identity(vectors, PEOPLE, smoothing).item() == pytest.approx(total / 8, rel=1e-5)


def test_triplets_take_the_farthest_of_the_person_and_the_nearest_of_others(vectors: Tensor) -> None:
    total = 0.0
    for a in range(8):
        distances = [float((vectors[a] - vectors[b]).norm()) for b in range(8)]
        farthest = max(d for d, b in zip(distances, PEOPLE, strict=True) if b == PEOPLE[a])
        nearest = min(d for d, b in zip(distances, PEOPLE, strict=True) if b != PEOPLE[a])
        total += max(0.0, 0.3 + farthest - nearest)
    assert hardest_triplets(vectors, PEOPLE, 0.3).item() == pytest.approx(total / 8, rel=1e-4)


def test_triplets_of_people_far_apart_cost_nothing_and_of_one_point_the_margin() -> None:
    people = torch.tensor([0, 0, 1, 1])
    assert hardest_triplets(torch.eye(2).repeat_interleave(2, 0) * 10, people, 0.3).item() == pytest.approx(0, abs=1e-5)
    point = torch.zeros(4, 3, requires_grad=True)
    loss = hardest_triplets(point, people, 0.3)
    loss.backward()
    assert loss.item() == pytest.approx(0.3)
    assert point.grad is not None
    assert bool(point.grad.isfinite().all())


@pytest.mark.parametrize("epsilon", [0.0, 0.1])
def test_the_loss_against_clothes_is_that_of_the_paper(epsilon: float) -> None:
    owner = torch.tensor([0, 0, 0, 1, 1, 2])
    clothes = torch.tensor([0, 2, 3, 5])
    logits = 4 * torch.randn(4, 6, generator=torch.Generator().manual_seed(1)).double()
    own = owner == owner[clothes][:, None]
    total = 0.0
    for b in range(4):
        others = sum(math.exp(logits[b, j]) for j in range(6) if not own[b, j])
        kept = [i for i in range(6) if own[b, i]]
        for i in kept:
            weight = (1 - epsilon + epsilon / len(kept)) if i == clothes[b] else epsilon / len(kept)
            total -= weight * math.log(math.exp(logits[b, i]) / (math.exp(logits[b, i]) + others))
    assert adversarial(logits, clothes, own, epsilon).item() == pytest.approx(total / 4, rel=1e-6)


def test_the_loss_against_clothes_is_finite_for_large_logits() -> None:
    logits = torch.tensor([[500.0, -500.0, 400.0]], requires_grad=True)
    loss = adversarial(logits, torch.tensor([1]), torch.tensor([[True, True, False]]), 0.0)
    loss.backward()
    assert loss.item() == pytest.approx(900.0)
    assert logits.grad is not None
    assert bool(logits.grad.isfinite().all())


def test_a_cosine_classifier_gives_scaled_cosines_and_can_be_held_fixed(vectors: Tensor) -> None:
    classify = CosineClassifier(5, 3, 16.0)
    cosines = torch.nn.functional.cosine_similarity(vectors[:, None], classify.weight[None], dim=2)
    assert torch.allclose(classify(vectors), 16 * cosines, atol=1e-5)
    moving = vectors.clone().requires_grad_()
    classify(moving, fixed=True).sum().backward()
    assert classify.weight.grad is None
    assert moving.grad is not None


def test_the_divergence_of_two_streams_is_that_of_their_probabilities(vectors: Tensor) -> None:
    fixed, learning = vectors[:4], vectors[4:]
    total = 0.0
    for ours, theirs in zip(fixed.tolist(), learning.tolist(), strict=True):
        p = [math.exp(x) / sum(map(math.exp, ours)) for x in ours]
        q = [math.exp(x) / sum(map(math.exp, theirs)) for x in theirs]
        total += sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    assert divergence(fixed, learning).item() == pytest.approx(total / 4, rel=1e-5)
    assert divergence(fixed, fixed).item() == pytest.approx(0, abs=1e-6)


def test_masks_show_head_trunk_and_legs_and_nothing_behind() -> None:
    parsing = torch.arange(8, dtype=torch.uint8).view(1, 2, 4)
    shown = body_masks(parsing)[0].flatten(1).bool()
    names = [[Region(number).name for number in torch.nonzero(channel).flatten().tolist()] for channel in shown]
    assert names == [["HAT", "HAIR", "FACE"], ["UPPER_CLOTHES", "SKIN"], ["SKIRT", "TROUSERS"]]


def test_garments_are_exchanged_within_their_kind() -> None:
    """Each picture has one colour, so that a pixel tells whose it was."""
    images = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 3, 6, 4).clone()
    parsing = torch.full((4, 6, 4), int(Region.FACE), dtype=torch.uint8)
    for picture, rows in enumerate((1, 2, 2, 1)):
        parsing[picture, 1 : 1 + rows] = int(Region.UPPER_CLOTHES)
        parsing[picture, 4] = int(Region.SKIRT if picture % 2 else Region.TROUSERS)
    dressed = exchange_garments(images, parsing, np.random.default_rng(3))
    kept = (parsing == Region.FACE)[:, None].expand_as(images)
    assert torch.equal(dressed[kept], images[kept])
    assert not torch.equal(dressed, images)
    for regions in ((Region.UPPER_CLOTHES,), (Region.SKIRT, Region.TROUSERS)):
        worn = torch.isin(parsing, torch.tensor(regions, dtype=torch.uint8))[:, None].expand_as(images)
        assert torch.equal(dressed[worn].sort().values, images[worn].sort().values)
    trousers = dressed[:, 0, 4]
    assert all(len(row.unique()) == 1 for row in trousers)
    assert sorted(trousers[:, 0].tolist()) == [0, 1, 2, 3]
