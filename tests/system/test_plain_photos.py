"""A folder of plain photos, without annotations, goes to shards and a preview by models that learned pose and parsing.

The models are of the real classes, SegFormer and ViTPose, but tiny, and trained here in a minute on rendered walkers.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn
from torch.nn import functional

from data.annotation import FOLDER, Annotation, Joint
from data.shards import SyncStore
from data.walkers.camera import CAMERAS, draw_shot
from data.walkers.dataset import Recipe, write_walkers
from data.walkers.person import draw_identity, draw_outfit
from data.walkers.render import render
from pipeline.compose import WALKERS_WEIGHTS

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.slow

HEIGHT, WIDTH = 128, 64
RECIPE = Recipe(train_people=4, val_people=1, test_people=1, train_photos=4, test_photos=1)
ATR = torch.tensor([0, 1, 2, 4, 5, 6, 14, 11])
"""A label of ATR for each of our regions."""
COCO = [
    "nose", "left eye", "right eye", "left ear", "right ear", "left shoulder", "right shoulder", "left elbow",
    "right elbow", "left wrist", "right wrist", "left hip", "right hip", "left knee", "right knee", "left ankle",
    "right ankle",
]  # fmt: skip

People = list[tuple[npt.NDArray[np.uint8], Annotation]]


@pytest.fixture(scope="module")
def people() -> People:
    """Rendered people to learn from, none of whom is in the data set."""
    rng, cameras = np.random.default_rng(5), tuple(CAMERAS.values())
    return [
        render(draw_identity(rng), draw_outfit(rng), draw_shot(rng, cameras[rng.integers(len(cameras))]), HEIGHT, WIDTH)
        for _ in range(300)
    ]


@pytest.fixture(scope="module")
def parser(people: People, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    config = transformers.SegformerConfig(
        num_labels=18,
        depths=[1] * 4,
        hidden_sizes=[16, 32, 48, 64],
        num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=64,
    )
    model = transformers.SegformerForSemanticSegmentation(config)
    processor = transformers.SegformerImageProcessor(size={"height": HEIGHT, "width": WIDTH})
    pictures = processor(images=[photo for photo, _ in people], return_tensors="pt")["pixel_values"]
    labels = ATR[torch.from_numpy(np.stack([annotation.parsing for _, annotation in people])).long()]
    optimiser, schedule = optimiser_of(model, 3e-3, 250)
    for _ in range(250):
        some = torch.randint(0, len(people), (16,))
        model(pixel_values=pictures[some], labels=labels[some]).loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        schedule.step()
    return saved(tmp_path_factory.mktemp("segformer"), model, processor)


@pytest.fixture(scope="module")
def poser(people: People, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    backbone = transformers.VitPoseBackboneConfig(
        image_size=[128, 96], patch_size=[16, 16], hidden_size=64, num_hidden_layers=2, num_attention_heads=4
    )
    config = transformers.VitPoseConfig(backbone_config=backbone, num_labels=len(COCO), use_simple_decoder=True)
    model = transformers.VitPoseForPoseEstimation(config)
    processor = transformers.VitPoseImageProcessor(size={"height": 128, "width": 96})
    boxes = [[[0.0, 0.0, WIDTH, HEIGHT]]] * len(people)
    pictures = processor(images=[photo for photo, _ in people], boxes=boxes, return_tensors="pt")["pixel_values"]
    maps = heat_maps(np.stack([annotation.joints for _, annotation in people]), 32, 24)
    optimiser, schedule = optimiser_of(model, 4e-3, 500)
    for _ in range(500):
        some = torch.randint(0, len(people), (24,))
        (100 * functional.mse_loss(model(pixel_values=pictures[some]).heatmaps, maps[some])).backward()
        optimiser.step()
        optimiser.zero_grad()
        schedule.step()
    return saved(tmp_path_factory.mktemp("vitpose"), model, processor)


def heat_maps(joints: npt.NDArray[np.float32], rows: int, columns: int) -> torch.Tensor:
    """Where the model shall see COCO's joints of a photo that lies in the middle, with an eighth of margin above."""
    x, y = joints[:, [Joint[name.upper().replace(" ", "_")] for name in COCO]].transpose(2, 0, 1) - 0.5
    across = ((x - WIDTH / 2) / (HEIGHT * 1.25 * 0.75) + 0.5) * (columns - 1)
    down = ((y - HEIGHT / 2) / (HEIGHT * 1.25) + 0.5) * (rows - 1)
    away = (np.arange(columns) - across[..., None, None]) ** 2 + (np.arange(rows)[:, None] - down[..., None, None]) ** 2
    return torch.from_numpy(np.nan_to_num(np.exp(-away / 4.5))).float()


def optimiser_of(
    model: nn.Module, most: float, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    optimiser = torch.optim.AdamW(model.parameters(), most)
    return optimiser, torch.optim.lr_scheduler.OneCycleLR(optimiser, most, total_steps=steps)


def saved(folder: Path, *parts: Any) -> Path:
    for part in parts:
        part.save_pretrained(folder)
    return folder


def pipeline(folder: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", *words], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_plain_photos_become_shards_and_a_preview(parser: Path, poser: Path, tmp_path: Path) -> None:
    root = tmp_path / "photos"
    write_walkers(root, RECIPE, jobs=1)
    shutil.rmtree(root / FOLDER)
    plain = ["--dataset", "prcc", "--data-root", str(root), "--weights", str(WALKERS_WEIGHTS), "--size", "64x32"]
    options = [*plain, "--parsing-model", str(parser), "--pose-model", str(poser), "--jobs", "1", "--device", "cpu"]
    pipeline(tmp_path, "sync", *options)
    [folder] = (tmp_path / "work" / "sync").iterdir()
    store = SyncStore(folder)
    redrawn = [store.redrawn(row) for row in range(len(store))]
    assert len(redrawn) == 48
    assert np.mean(redrawn) > 0.9

    kept = sorted((tmp_path / "work" / "annotations" / "prcc").rglob("*.png"))
    assert len(kept) == 48

    assert (folder / "templates.png").is_file()
    page = Path(re.findall(r"^page: (.*)$", pipeline(tmp_path, "preview"), re.MULTILINE)[0])
    assert (tmp_path / page.parent / "shard-00000.png").is_file()
    clothes, rest = np.nanmean([store.moved(row) for row in range(48) if redrawn[row]], axis=0)
    assert clothes > 2 * rest

    # Other templates take no new annotation.
    before = [path.stat().st_mtime_ns for path in kept]
    pipeline(tmp_path, "sync", *options, "--seed", "1")
    assert len(list((tmp_path / "work" / "sync").iterdir())) == 2
    assert [path.stat().st_mtime_ns for path in kept] == before
