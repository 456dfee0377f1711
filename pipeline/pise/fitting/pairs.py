"""Exact examples of a change of clothes: the same rendered person in the same pose, in two outfits."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from joblib import Parallel, delayed
from torch.nn import functional
from tqdm import tqdm

from data.annotation import parsing_maps, pose_maps
from data.walkers.camera import CAMERAS, draw_shot
from data.walkers.person import Outfit, draw_identity, draw_outfit
from data.walkers.render import render

_STREAM = 3  # 0 to 2 are the benchmark's splits: these are other people
_SCENES_A_TASK = 50


@dataclass(frozen=True)
class Batch:
    """What the generator learns from: `source` is to become `target`, in the clothes that `template` shows.

    Images float32 (B, 3, H, W) in [-1, 1], parsings (B, 8, H, W) one-hot, pose (B, 18, H, W).
    """

    source: torch.Tensor
    source_parsing: torch.Tensor
    pose: torch.Tensor
    template: torch.Tensor
    template_parsing: torch.Tensor
    target: torch.Tensor
    target_parsing: torch.Tensor

    def halve(self) -> Batch:
        """The same at half the size."""
        pictures = (self.source, self.pose, self.template, self.target)
        source, pose, template, target = (functional.avg_pool2d(picture, 2) for picture in pictures)
        parsings = (self.source_parsing, self.template_parsing, self.target_parsing)
        source_parsing, template_parsing, target_parsing = (parsing[..., ::2, ::2] for parsing in parsings)
        return Batch(source, source_parsing, pose, template, template_parsing, target, target_parsing)

    def to(self, device: torch.device) -> Batch:
        """The same on a device."""
        return Batch(*(tensor.to(device) for tensor in vars(self).values()))


@dataclass(frozen=True)
class Scenes:
    """N scenes of two people, each in the same two outfits: the one is the template of the other.

    `images` uint8 (N, person, outfit, H, W, 3), `parsings` uint8 (N, person, outfit, H, W), `joints` float32
    (N, person, 18, 2).
    """

    images: npt.NDArray[np.uint8]
    parsings: npt.NDArray[np.uint8]
    joints: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.images)

    def draw(self, rng: np.random.Generator, count: int) -> Batch:
        """A batch of `count` scenes, one of the people in each to change clothes, the same one in all."""
        chosen = rng.choice(len(self), count, replace=count > len(self))
        return self.batch(chosen, person=int(rng.integers(2)), outfit=int(rng.integers(2)))

    samples = draw

    def batch(self, scenes: npt.NDArray[np.int64], person: int, outfit: int) -> Batch:
        """The person `person` (0 or 1) of each of `scenes`, to be changed out of `outfit` (0 or 1)."""
        height, width = self.parsings.shape[-2:]

        def one(who: int, wearing: int) -> tuple[torch.Tensor, torch.Tensor]:
            pixels = torch.from_numpy(self.images[scenes, who, wearing]).permute(0, 3, 1, 2)
            regions = torch.from_numpy(parsing_maps(self.parsings[scenes, who, wearing]))
            return pixels.float() / 127.5 - 1, regions

        pose = torch.from_numpy(pose_maps(self.joints[scenes, person], height, width))
        source, target, template = one(person, outfit), one(person, 1 - outfit), one(1 - person, 1 - outfit)
        return Batch(*source, pose, *template, *target)


def render_scenes(scenes: range, seed: int, height: int, width: int, jobs: int = -1) -> Scenes:
    """Render scenes of people who are in no benchmark; another number, other people.

    In every other scene the second outfit keeps the first one's cut and differs in colour and pattern only, as when a
    photo is redrawn without changing its parsing.
    """
    tasks = [scenes[start : start + _SCENES_A_TASK] for start in range(0, len(scenes), _SCENES_A_TASK)]
    done = Parallel(n_jobs=jobs, return_as="generator")(
        delayed(_render_some)(task, seed, height, width) for task in tasks
    )
    parts = list(tqdm(done, desc="rendering scenes", total=len(tasks), disable=None))
    images, parsings, joints = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Scenes(images, parsings, joints)


def _render_some(
    scenes: range, seed: int, height: int, width: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    images = np.empty((len(scenes), 2, 2, height, width, 3), dtype=np.uint8)
    parsings = np.empty((len(scenes), 2, 2, height, width), dtype=np.uint8)
    joints = np.empty((len(scenes), 2, 18, 2), dtype=np.float32)
    cameras = tuple(CAMERAS.values())
    for index, scene in enumerate(scenes):
        rng = np.random.default_rng((seed, _STREAM, scene))
        outfits = (draw_outfit(rng), draw_outfit(rng))
        if scene % 2:
            outfits = (outfits[0], _recut(outfits[1], outfits[0]))
        for person in (0, 1):
            identity, shot = draw_identity(rng), draw_shot(rng, cameras[int(rng.integers(len(cameras)))])
            for wearing, outfit in enumerate(outfits):
                images[index, person, wearing], annotation = render(identity, outfit, shot, height, width)
                parsings[index, person, wearing] = annotation.parsing
                joints[index, person] = annotation.joints
    return images, parsings, joints


def _recut(outfit: Outfit, like: Outfit) -> Outfit:
    """`outfit` in its own colours and pattern, cut as `like` is."""
    return replace(
        outfit,
        sleeve=like.sleeve,
        hood=like.hood,
        lower_kind=like.lower_kind,
        hem=like.hem,
        looseness=like.looseness,
        leg_looseness=like.leg_looseness,
    )
