"""Losses of the supervised methods, against plain loops and against cases that can be said in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from data.annotation import Joint, Region
from trainer.supervised.losses import hardest_triplets, identity
from trainer.supervised.methods.cal import adversarial
from trainer.supervised.methods.cesd import joint_loss
from trainer.supervised.methods.fsam import (
    AWAY,
    SIDEWAYS,
    TOWARDS,
    ShapeStream,
    body_masks,
    divergence,
    facing,
    unlikeness,
)
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


def test_streams_are_as_unlike_as_the_places_they_look_at() -> None:
    one, other = torch.rand(3, 4, 2, 5), torch.rand(3, 7, 2, 5)
    total = 0.0
    for b in range(3):
        looks = []
        for maps in (one, other):
            look = [float((maps[b, :, y, x] ** 2).mean()) for y in range(2) for x in range(5)]
            length = math.sqrt(sum(value**2 for value in look))
            looks.append([value / length for value in look])
        total += 2 * sum((a - b) ** 2 for a, b in zip(*looks, strict=True))
    assert unlikeness(one, other).item() == pytest.approx(total / 3, rel=1e-4)
    assert unlikeness(one, 3 * one).item() == pytest.approx(0, abs=1e-6)
    both = [one.clone().requires_grad_(), other.clone().requires_grad_()]
    unlikeness(*both).backward()
    assert all(maps.grad is not None and bool(maps.grad.any()) for maps in both)


def test_people_face_the_camera_where_their_left_is_at_the_right() -> None:
    standing = {
        Joint.LEFT_SHOULDER: (0.7, 0.25),
        Joint.RIGHT_SHOULDER: (0.3, 0.25),
        Joint.LEFT_HIP: (0.6, 0.5),
        Joint.RIGHT_HIP: (0.4, 0.5),
    }
    joints = torch.full((4, len(Joint), 2), torch.nan)
    for joint, (x, y) in standing.items():
        joints[0, joint] = torch.tensor([x, y])
        joints[1, joint] = torch.tensor([1 - x, y])
        joints[2, joint] = torch.tensor([0.5 + (x - 0.5) / 5, y])
        joints[3, joint] = joints[0, joint]
    joints[3, Joint.LEFT_HIP] = torch.nan
    assert facing(joints, 0.5).tolist() == [TOWARDS, AWAY, SIDEWAYS, SIDEWAYS]


@torch.no_grad()
def test_each_pose_has_its_branch_and_photos_keep_their_order() -> None:
    stream = ShapeStream([torch.nn.Conv2d(3, 2, 1), torch.nn.Conv2d(2, 2, 1)])
    weight = stream.branches[0].get_parameter("weight").clone()
    for number, branch in enumerate(stream.branches):
        branch.get_parameter("weight").copy_((number + 1.0) * weight)
        branch.get_parameter("bias").zero_()
    masks, poses = torch.rand(5, 3, 4, 2), torch.tensor([2, 0, 0, 2, 0])
    low, high = stream(masks, poses)
    for photo, pose in enumerate(poses.tolist()):
        alone = torch.nn.functional.conv2d(low[photo], (pose + 1.0) * weight)
        assert torch.allclose(high[photo], alone, atol=1e-6)


def test_joints_are_measured_where_they_are_there() -> None:
    found = torch.rand(3, 4, 3, generator=torch.Generator().manual_seed(0))
    joints = torch.rand(3, 4, 2, generator=torch.Generator().manual_seed(1))
    joints[0, 1] = joints[2, 3] = torch.nan
    near, sure, there = 0.0, 0.0, 0
    for b in range(3):
        for j in range(4):
            p = float(found[b, j, 2])
            if (b, j) in ((0, 1), (2, 3)):
                sure -= math.log(1 - p) / 12
                continue
            sure -= math.log(p) / 12
            there += 1
            near += sum(abs(float(found[b, j, k] - joints[b, j, k])) for k in range(2))
    assert joint_loss(found, joints).item() == pytest.approx(near / there + sure, rel=1e-4)
    nobody = torch.full_like(joints, torch.nan)
    assert bool(joint_loss(found, nobody).isfinite())


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
