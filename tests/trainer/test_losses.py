"""The losses: against the formulas of the paper written as slow loops, and their extremes."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from trainer.losses import distribution, info_nce, self_identity


def unit(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return functional.normalize(torch.randn(*shape, generator=generator, dtype=torch.float64), dim=-1)


def slow_self_identity(features: Tensor, temperature: float) -> Tensor:
    """Eq. 9 as printed: every ordered pair of the images of a photo, one KL divergence after the other."""
    photos, images, _ = features.shape
    total = torch.zeros((), dtype=features.dtype)
    for photo in features:
        for p in photo:
            for q in photo:
                log_q = torch.log_softmax(q / temperature, dim=0)
                total = total + functional.kl_div(log_q, torch.softmax(p / temperature, dim=0), reduction="sum")
    return total / (photos * images)


@settings(max_examples=25, deadline=None)
@given(photos=st.integers(1, 3), images=st.integers(1, 5), d=st.integers(1, 9), t=st.sampled_from([0.05, 0.1, 1.0]))
def test_self_identity_equals_the_formula_and_its_gradient(photos: int, images: int, d: int, t: float) -> None:
    fast = unit(photos, images, d).requires_grad_()
    slow = fast.detach().clone().requires_grad_()
    value, expected = self_identity(fast, t), slow_self_identity(slow, t)
    value.backward()
    expected.backward()
    assert fast.grad is not None
    assert slow.grad is not None
    assert value.item() == pytest.approx(expected.item(), rel=1e-5, abs=1e-6)
    torch.testing.assert_close(fast.grad, slow.grad, rtol=1e-4, atol=1e-5)


def test_self_identity_keeps_its_digits_when_images_almost_agree() -> None:
    base = unit(4, 1, 2048)
    features = functional.normalize(base + 1e-3 * unit(4, 5, 2048, seed=1), dim=-1)
    assert self_identity(features.float()).item() == pytest.approx(slow_self_identity(features, 0.1).item(), rel=1e-3)


def test_self_identity_of_equal_images_is_nothing() -> None:
    assert self_identity(unit(3, 1, 8).expand(3, 5, 8)).item() == pytest.approx(0, abs=1e-6)
    assert self_identity(unit(3, 1, 8)).item() == 0


def test_info_nce_equals_the_formula() -> None:
    features, memory, labels = unit(6, 8), unit(4, 8, seed=1), torch.tensor([0, 1, 2, 3, 3, 0])
    terms = []
    for f, y in zip(features, labels.tolist(), strict=True):
        scores = [math.exp(float(f @ m) / 0.05) for m in memory]
        terms.append(-math.log(scores[y] / sum(scores)))
    assert info_nce(features, memory, labels, 0.05).item() == pytest.approx(sum(terms) / 6, rel=1e-5)


def test_info_nce_leaves_out_what_is_not_contrasted_but_never_the_own_entry() -> None:
    features, memory, labels = unit(3, 8), unit(4, 8, seed=1), torch.tensor([0, 1, 2])
    contrasted = torch.tensor([[1, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]]).bool()
    kept = [[0, 2], [1, 3], [2]]
    terms = []
    for f, y, entries in zip(features, labels.tolist(), kept, strict=True):
        scores = {entry: math.exp(float(f @ memory[entry]) / 0.05) for entry in entries}
        terms.append(-math.log(scores[y] / sum(scores.values())))
    found = info_nce(features, memory, labels, 0.05, contrasted)
    assert found.item() == pytest.approx(sum(terms) / 3, rel=1e-5)
    everything = torch.ones(3, 4, dtype=torch.bool)
    assert torch.equal(info_nce(features, memory, labels, 0.05, everything), info_nce(features, memory, labels, 0.05))


def test_info_nce_of_a_single_cluster_is_nothing() -> None:
    assert info_nce(unit(5, 8), unit(1, 8), torch.zeros(5, dtype=torch.int64)).item() == 0


def test_losses_are_float32_under_autocast() -> None:
    features, memory = unit(2, 5, 8).float(), unit(4, 8, seed=1).float()
    labels = torch.zeros(10, dtype=torch.int64)
    plain = [self_identity(features), info_nce(features.flatten(0, 1), memory, labels)]
    with torch.autocast("cpu", torch.bfloat16):
        mixed = [self_identity(features.bfloat16().float()), info_nce(features.flatten(0, 1), memory, labels)]
    assert [x.dtype for x in mixed] == [torch.float32, torch.float32]
    assert torch.equal(plain[1], mixed[1])


def test_distribution_sums_to_one_and_sharpens_as_the_temperature_falls() -> None:
    features = unit(7, 16)
    torch.testing.assert_close(distribution(features).sum(-1), torch.ones(7))
    assert (distribution(features, 0.05).amax(-1) > distribution(features, 0.5).amax(-1)).all()
