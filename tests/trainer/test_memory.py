"""The cluster memory: against Cluster Contrast's own figures, a slow loop, and what a training loop asks of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from trainer.memory import ClusterMemory
from trainer.method import Update

VECTORS = Path(__file__).parent / "vectors"
UPDATES: list[Update] = ["instance", "average", "hardest", "hardest-cosine"]


def unit(*shape: int, seed: int = 0) -> Tensor:
    return functional.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


@pytest.mark.parametrize(("update", "name"), [("instance", "instance"), ("hardest-cosine", "hard_cosine")])
def test_three_steps_equal_cluster_contrast(update: Update, name: str) -> None:
    vectors = np.load(VECTORS / "cluster_memory.npz")
    memory = ClusterMemory(torch.from_numpy(vectors["memory0"]), float(vectors["momentum"]), update)
    for t in range(3):
        raw = torch.from_numpy(vectors["inputs"][t]).requires_grad_()
        labels = torch.from_numpy(vectors["targets"][t])
        features = functional.normalize(raw, dim=1)
        loss = memory.loss(features, labels, float(vectors["temperature"]))
        memory.step(features, labels)
        loss.backward()  # after the step on purpose: the order of the two must not matter
        assert raw.grad is not None
        assert loss.item() == pytest.approx(vectors[f"{name}_losses"][t], abs=1e-5)
        np.testing.assert_allclose(raw.grad.numpy(), vectors[f"{name}_grads"][t], atol=1e-5)
    np.testing.assert_allclose(memory.features.numpy(), vectors[f"{name}_memory"], atol=1e-5)


def slow_step(memory: Tensor, momentum: float, update: str, features: Tensor, labels: Tensor) -> Tensor:
    """One step as the paper's text says it, one feature after the other, in float64."""
    memory, features = memory.double().clone(), features.double()
    for c in labels.unique().tolist():
        own = [f for f, y in zip(features, labels.tolist(), strict=True) if y == c]
        log_memory = torch.log_softmax(memory[c] / 0.1, dim=0)
        if update == "average":
            own = [sum(own, torch.zeros_like(own[0])) / len(own)]
        elif update == "hardest":
            own = [max(own, key=lambda f: float(functional.kl_div(log_memory, (f / 0.1).softmax(0), reduction="sum")))]
        elif update == "hardest-cosine":
            own = [min(own, key=lambda f: float(f @ memory[c]))]
        for f in own:
            memory[c] = functional.normalize(momentum * memory[c] + (1 - momentum) * f, dim=0)
    return memory


@settings(max_examples=60, deadline=None)
@given(
    update=st.sampled_from(UPDATES),
    labels=st.lists(st.integers(0, 5), min_size=1, max_size=24),
    momentum=st.sampled_from([0.0, 0.1, 0.3, 1.0]),
    seed=st.integers(0, 1000),
)
def test_step_equals_a_slow_loop_and_keeps_unit_length(
    update: Update, labels: list[int], momentum: float, seed: int
) -> None:
    memory = ClusterMemory(unit(6, 8, seed=seed), momentum, update)
    features, clusters = unit(len(labels), 8, seed=seed + 1), torch.tensor(labels)
    expected = slow_step(memory.features, momentum, update, features, clusters)
    memory.step(features, clusters)
    torch.testing.assert_close(memory.features.double(), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(memory.features.norm(dim=1), torch.ones(6), atol=1e-6, rtol=0)


def test_the_order_of_a_batch_matters_to_the_instance_update_alone() -> None:
    features, labels = unit(12, 8), torch.arange(12) % 3
    for update in UPDATES:
        forward, backward = (
            ClusterMemory(unit(3, 8, seed=1), 0.3, update),
            ClusterMemory(unit(3, 8, seed=1), 0.3, update),
        )
        forward.step(features, labels)
        backward.step(features.flip(0), labels.flip(0))
        same = torch.allclose(forward.features, backward.features, atol=1e-6)
        assert same == (update != "instance")


@pytest.mark.parametrize("update", UPDATES)
def test_an_empty_batch_changes_nothing(update: Update) -> None:
    memory = ClusterMemory(unit(3, 8), 0.3, update)
    before = memory.features.clone()
    memory.step(torch.empty(0, 8), torch.empty(0, dtype=torch.int64))
    assert torch.equal(memory.features, before)


@pytest.mark.parametrize("update", UPDATES)
def test_saved_and_loaded_it_goes_on_bit_for_bit(update: Update, tmp_path: Path) -> None:
    first = ClusterMemory(unit(4, 8), 0.3, update)
    first.step(unit(9, 8, seed=2), torch.arange(9) % 4)
    torch.save(first.state_dict(), tmp_path / "memory.pt")
    second = ClusterMemory(torch.ones(4, 8), 0.3, update)
    second.load_state_dict(torch.load(tmp_path / "memory.pt", weights_only=True))
    for memory in (first, second):
        memory.step(unit(9, 8, seed=3), torch.arange(9) % 4)
    assert torch.equal(first.features, second.features)


@pytest.mark.parametrize("update", UPDATES)
def test_under_autocast_loss_and_step_stay_in_float32(update: Update) -> None:
    plain, mixed = ClusterMemory(unit(4, 8), 0.3, update), ClusterMemory(unit(4, 8), 0.3, update)
    features, labels = unit(9, 8, seed=2), torch.arange(9) % 4
    plain.step(features, labels)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(
            mixed.loss(features, labels, 0.05), ClusterMemory(unit(4, 8), 0.3, update).loss(features, labels, 0.05)
        )
        mixed.step(features, labels)
    assert torch.equal(plain.features, mixed.features)
    assert mixed.features.dtype == torch.float32


def test_half_precision_features_are_taken() -> None:
    memory = ClusterMemory(unit(4, 8).bfloat16(), 0.3, "hardest")
    features, labels = unit(9, 8, seed=2).bfloat16(), torch.arange(9) % 4
    memory.step(features, labels)
    assert memory.loss(features, labels, 0.05).dtype == memory.features.dtype == torch.float32


@pytest.mark.parametrize(("temperature", "hardest"), [(1e-4, 0), (0.01, 0), (0.3, 1), (1.0, 1)])
def test_the_hardest_is_sought_at_the_temperature_given(temperature: float, hardest: int) -> None:
    """Cold, what counts is which number is the largest; warm, all of them. Neither is the default's choice by luck."""
    near_with_another_peak, far_with_the_same_peak = (3.0, 4.0, 6.0, 6.5), (6.0, 0.0, 8.0, 1.0)
    features = functional.normalize(torch.tensor([near_with_another_peak, far_with_the_same_peak]), dim=1)
    # A memory that keeps nothing of its old vector shows which feature it was stepped to.
    memory = ClusterMemory(torch.tensor([[3.0, 4.0, 6.5, 6.0]]), 0.0, "hardest", temperature)
    memory.step(features, torch.tensor([0, 0]))
    torch.testing.assert_close(memory.features[0], features[hardest])


def test_no_gradient_reaches_the_memory_and_nothing_of_it_is_a_parameter() -> None:
    memory = ClusterMemory(unit(4, 8), 0.3, "average")
    features = unit(9, 8, seed=2).requires_grad_()
    memory.loss(features, torch.arange(9) % 4, 0.05).backward()
    assert features.grad is not None
    assert not memory.features.requires_grad
    assert list(memory.parameters()) == []


def test_wrong_arguments_are_named() -> None:
    unknown: Any = "mean"
    with pytest.raises(ValueError, match=r"unknown update 'mean'.*hardest-cosine"):
        ClusterMemory(unit(4, 8), 0.3, unknown)
    with pytest.raises(ValueError, match=r"momentum is 1\.5"):
        ClusterMemory(unit(4, 8), 1.5, "average")
    with pytest.raises(ValueError, match=r"shape \(8,\)"):
        ClusterMemory(unit(8), 0.3, "average")
