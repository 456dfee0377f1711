"""Real parts in miniature: rendered walkers on disk and a generator with random weights."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from data.walkers.dataset import Recipe, write_walkers
from pipeline.pise import Generator, save_generator


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Tensors this small only make threads wait for each other."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eighteen training photos of three walkers in PRCC's layout, with annotations; not to be changed."""
    root = tmp_path_factory.mktemp("rendered") / "walkers"
    recipe = Recipe(train_people=3, val_people=1, test_people=1, train_photos=2, test_photos=1, height=64, width=32)
    write_walkers(root, recipe, jobs=1)
    return root


@pytest.fixture
def walkers(rendered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of them where the commands look by default, below the current folder."""
    monkeypatch.chdir(tmp_path)
    root = Path("work/datasets/walkers")
    shutil.copytree(rendered, root)
    return root


@pytest.fixture(scope="session")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generator of width 4 that was never trained."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_generator(Generator(4), path)
    return path
