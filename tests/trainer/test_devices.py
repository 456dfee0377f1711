"""Nothing of the CPU is mixed with what is on a GPU: tensors say they are on one, and refuse the company of others.

Without a GPU this is as near as one can come: the computations are done on the CPU, but a tensor that was left there
beside one that was moved is an error, as it would be on a GPU. Gradients cannot be had this way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from tests.bench.people import people
from trainer.clustering.labels import jaccard_similarity, pseudo_labels
from trainer.losses import self_identity
from trainer.memory import ClusterMemory
from trainer.method import Update

GPU = torch.device("cuda:0")
MOVES = (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)


class Moved(torch.Tensor):
    """A tensor on the CPU that says it is on a GPU."""

    def __new__(cls, inner: torch.Tensor) -> Moved:
        make: Callable[..., Moved] = torch.Tensor._make_wrapper_subclass
        return make(cls, inner.shape, strides=inner.stride(), dtype=inner.dtype, device=GPU)

    def __init__(self, inner: torch.Tensor) -> None:
        self.within = inner

    # Any, for torch declares it without the function that it is called with.
    __torch_dispatch__: Any = classmethod(
        lambda _, function, __, args=(), kwargs=None: compute(function, args, kwargs or {})
    )


class OnGpu(TorchDispatchMode):
    """While this lasts, tensors that are made on a GPU or moved to it are `Moved`."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(function, args, kwargs or {})


def compute(function: Any, args: Any, kwargs: Any) -> Any:
    """Compute on the CPU what would be computed on a GPU; numbers without dimensions may be mixed, as there."""
    given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    moved = {id(leaf.within): leaf for leaf in given if isinstance(leaf, Moved)}
    if moved and function not in MOVES and any(leaf.ndim for leaf in given if not isinstance(leaf, Moved)):
        raise RuntimeError(f"{function}: a tensor on the CPU beside one on a GPU")
    device = kwargs.get("device")
    on_gpu = bool(moved) if device is None else torch.device(device).type == "cuda"
    args, kwargs = tree_map(lambda leaf: leaf.within if isinstance(leaf, Moved) else leaf, (args, kwargs))
    result = function(*args, **(kwargs if device is None else {**kwargs, "device": torch.device("cpu")}))

    def wrap(leaf: Any) -> Any:
        if not isinstance(leaf, torch.Tensor):
            return leaf
        return moved.get(id(leaf)) if id(leaf) in moved else Moved(leaf) if on_gpu else leaf

    return tree_map(wrap, result)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if torch.cuda.is_available():
        yield
        return
    monkeypatch.setattr(torch.cuda, "_lazy_init", lambda: None)
    monkeypatch.setattr(torch.backends.cudnn, "enabled", False)
    torch._C._ensureCUDADeviceGuardSet()
    with OnGpu():
        yield


def to_gpu(*tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return tuple(tensor.to(GPU) for tensor in tensors)


@pytest.mark.usefixtures("gpu")
def test_mixing_is_noticed() -> None:
    there, here = torch.ones(3, device=GPU), torch.ones(3)
    assert there.device == GPU
    assert (2 * there).cpu().tolist() == [2, 2, 2]
    with pytest.raises(RuntimeError):
        there + here


@pytest.mark.parametrize("mean", [0.0, 3.0])
def test_photos_are_clustered(mean: float, request: pytest.FixtureRequest) -> None:
    features = torch.nn.functional.normalize(people(1500, 32) + mean * torch.ones(32) / 32**0.5)
    labels, similarity = pseudo_labels(features), jaccard_similarity(features)
    assert labels.max() > 5
    request.getfixturevalue("gpu")
    (there,) = to_gpu(features)
    np.testing.assert_array_equal(pseudo_labels(there), labels)
    assert (jaccard_similarity(there) != similarity).nnz == 0


@pytest.mark.parametrize("update", ["instance", "average", "hardest", "hardest-cosine"])
def test_memories_are_contrasted_with_and_stepped(update: Update, request: pytest.FixtureRequest) -> None:
    initial, features = people(6, 16), people(24, 16, seed=1)
    labels = torch.arange(24) % 5

    def stepped(initial: torch.Tensor, features: torch.Tensor, labels: torch.Tensor) -> list[torch.Tensor]:
        memory = ClusterMemory(initial, 0.3, update)
        memory.step(features, labels)
        return [memory.features, memory.loss(features, labels), self_identity(features.unflatten(0, (6, 4)))]

    expected = stepped(initial, features, labels)
    request.getfixturevalue("gpu")
    for ours, wanted in zip(stepped(*to_gpu(initial, features, labels)), expected, strict=True):
        assert ours.device == GPU
        torch.testing.assert_close(ours.cpu(), wanted)
