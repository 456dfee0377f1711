"""The fit of the parser, step by step, resumable, and how good it is on people whose regions are known."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional
from tqdm import tqdm

from data.annotation import Region, pose_maps
from data.runtime.errors import RunError
from data.runtime.files import replacing, writing
from pipeline.annotate.parser.fitting import alter, degrade
from pipeline.annotate.parser.fitting.dye import blur
from pipeline.annotate.parser.fitting.pictures import Pictures
from pipeline.annotate.parser.fitting.view import View
from pipeline.annotate.parser.network import HEIGHT, WIDTH, ParsingNetwork
from pipeline.annotate.parser.parser import save_parser

CHECKPOINT = "checkpoint.pt"
WEIGHTS = "parser.safetensors"

# How heavy a pixel of each region is: rare and small ones more, found by trying.
_HEAVY = {
    Region.BACKGROUND: 0.7,
    Region.HAT: 3.0,
    Region.HAIR: 1.8,
    Region.UPPER_CLOTHES: 1.0,
    Region.SKIRT: 2.5,
    Region.TROUSERS: 1.0,
    Region.SKIN: 1.8,
    Region.FACE: 2.5,
}
_OVERLAP_WEIGHT = 0.5  # of Dice's overlap beside the cross-entropy
_SEEN = 20  # pixels in a batch from which on a region's overlap counts
_WARM_UP = 200  # steps


@dataclass(frozen=True)
class ParserSettings:
    """How the parser is fitted. `held_out`: people of `pairs` that are left to the generator's measurement."""

    steps: int = 8000
    batch: int = 16
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    average_decay: float = 0.998
    held_out: int = 12
    seed: int = 7


Parts = dict[str, torch.nn.Module | torch.optim.Optimizer]
"""What a checkpoint keeps, by name."""


@dataclass(frozen=True)
class ParserBatch:
    """What the network sees, and what it shall say: `labels` int64 (B, 128, 64); the rest as its `forward` says."""

    image: torch.Tensor
    mask: torch.Tensor
    pose: torch.Tensor
    labels: torch.Tensor


class Examples:
    """Batches from pictures, each altered and worsened anew.

    Args:
        pictures: to draw from.
    """

    def __init__(self, pictures: Pictures) -> None:
        self.pictures = pictures
        self.photographs = alter.photographs()

    def draw(self, rng: np.random.Generator, count: int) -> ParserBatch:
        """Draw a batch; `rng` decides it."""
        chosen = rng.choice(len(self.pictures.images), count, p=self.pictures.often)
        images, parsings = self.pictures.images[chosen], self.pictures.parsings[chosen]
        view = View.draw(parsings, rng)
        image, labels = view.images(images, HEIGHT, WIDTH), view.labels(parsings, HEIGHT, WIDTH)
        joints = view.joints(self.pictures.joints[chosen], parsings.shape[1:], (HEIGHT, WIDTH))
        cover = blur((labels > 0).float().unsqueeze(1))
        behind = alter.backgrounds(image, self.photographs, rng)
        image = image * cover + behind * (1 - cover)
        dressed = [alter.redress(*one, rng) for one in zip(image, labels, joints, strict=True)]
        image, labels = (torch.stack(part) for part in zip(*dressed, strict=True))
        carried = torch.from_numpy(rng.random(count) < 0.6).view(-1, 1, 1)
        person = (labels > 0) | (labels == alter.BAG) & carried
        labels = labels.clamp(min=Region.BACKGROUND)
        alter.hide(image, labels, person, behind, rng)
        image = torch.stack([degrade.photograph(one, rng) for one in degrade.relight(image, rng)])
        mask = torch.stack([degrade.outline(one, rng) for one in person])
        found = degrade.misplace(joints, HEIGHT, WIDTH, rng)
        return ParserBatch(image, mask, torch.from_numpy(pose_maps(found, HEIGHT, WIDTH)), labels)


def fit_parser(make_examples: Callable[[], Examples], settings: ParserSettings, folder: Path, every: int = 100) -> Path:
    """Fit the network and write its weights; goes on from the folder's checkpoint if there is one.

    Args:
        make_examples: called once.
        settings: what decides the result, besides the examples.
        folder: of everything that is written.
        every: steps between two checkpoints.

    Returns:
        The weights' file.

    Raises:
        RunError: the checkpoint is damaged or of other settings.
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(settings.seed)
    network = ParsingNetwork().to(memory_format=torch.channels_last)
    average = copy.deepcopy(network)
    optimiser = torch.optim.AdamW(network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    parts: Parts = {"network": network, "average": average, "optimiser": optimiser}
    first = _restore(folder / CHECKPOINT, parts, settings)
    examples = make_examples()
    losses: list[float] = []
    progress = tqdm(range(first, settings.steps), initial=first, total=settings.steps, desc="parser", disable=None)
    for step in progress:
        for group in optimiser.param_groups:
            group["lr"] = _learning_rate(settings, step)
        batch = examples.draw(np.random.default_rng((settings.seed, step)), settings.batch)
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(batch.image, batch.mask, batch.pose)
        loss = parsing_loss(logits.float(), batch.labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        _follow(average, network, min(settings.average_decay, (step + 1) / (step + 20)))
        losses.append(loss.item())
        if (step + 1) % every == 0 or step + 1 == settings.steps:
            progress.write(f"parser step {step + 1}/{settings.steps} loss {np.mean(losses):.4f}")
            losses.clear()
            state = {name: part.state_dict() for name, part in parts.items()}
            with writing(folder / CHECKPOINT) as file:
                torch.save({**state, "settings": asdict(settings), "step": step + 1}, file)
    with replacing(folder / WEIGHTS) as temporary:
        save_parser(calibrated(average), temporary)
    return folder / WEIGHTS


def calibrated(network: ParsingNetwork) -> ParsingNetwork:
    """A copy that takes back by how much the weighted loss made rare regions too likely (Menon et al., 2021)."""
    fair = copy.deepcopy(network)
    heavy = torch.tensor([_HEAVY[region] for region in Region])
    with torch.no_grad():
        fair.out.get_parameter("bias").sub_(heavy.log())
    return fair


def parsing_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of logits (B, 8, H, W), rare regions heavier, and what lacks in the regions' overlap (Dice)."""
    entropy = functional.cross_entropy(logits, labels, torch.tensor([_HEAVY[region] for region in Region]))
    likely, true = logits.softmax(1), functional.one_hot(labels, len(Region)).permute(0, 3, 1, 2).float()
    both, either = (likely * true).sum((0, 2, 3)), (likely + true).sum((0, 2, 3))
    overlap = (2 * both + 1) / (either + 1)
    seen = true.sum((0, 2, 3)) > _SEEN
    return entropy + _OVERLAP_WEIGHT * (1 - overlap[seen]).mean()


def overlaps(found: npt.NDArray[np.uint8], true: npt.NDArray[np.uint8]) -> dict[Region, float]:
    """Intersection over union of each region that either of two sets of parsings, of one shape, has."""
    both = {region: ((found == region) & (true == region)).sum() for region in Region}
    either = {region: ((found == region) | (true == region)).sum() for region in Region}
    return {region: float(both[region] / either[region]) for region in Region if either[region]}


def _learning_rate(settings: ParserSettings, step: int) -> float:
    """Half a cosine to 2 % of the settings' learning rate, after a warm-up."""
    falling = 0.02 + 0.98 * (1 + math.cos(math.pi * step / settings.steps)) / 2
    return settings.learning_rate * min(1.0, (step + 1) / _WARM_UP) * falling


@torch.no_grad()
def _follow(average: ParsingNetwork, network: ParsingNetwork, decay: float) -> None:
    for mean, value in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if value.is_floating_point():
            mean.lerp_(value, 1 - decay)
        else:
            mean.copy_(value)


def _restore(file: Path, parts: Parts, settings: ParserSettings) -> int:
    if not file.exists():
        return 0
    try:
        state = torch.load(file, weights_only=True)
        fitted, step = state["settings"], int(state["step"])
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, TypeError) as error:
        raise RunError(f"{file} is damaged: remove it to start anew") from error
    if fitted != asdict(settings):
        raise RunError(f"{file} is of a fit with other settings: remove it or choose another folder")
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return step
