"""Scenes: exact examples of a change of clothes, the same rendered person in the same pose in two outfits."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from joblib import Parallel, delayed

from data.annotation import parsing_maps, pose_maps
from data.runtime.processes import usable_jobs
from data.runtime.progress import progress
from data.walkers.camera import CAMERAS, draw_shot
from data.walkers.person import Outfit, draw_identity, draw_outfit
from data.walkers.render import render
from pipeline.pise.fitting.batch import Batch

_STREAM = 3  # 0 to 2 are the benchmark's splits: these are other people
_SCENES_A_TASK = 50  # some seconds of rendering: long beside the start of a task, short beside a run


@dataclass(frozen=True)
class Scenes:
    """N scenes of two people who wear the same two outfits, so that one is the other's template.

    `images` uint8 (N, person, outfit, H, W, 3), `parsings` uint8 (N, person, outfit, H, W), `joints` float32
    (N, person, 18, 2).
    """

    images: npt.NDArray[np.uint8]
    parsings: npt.NDArray[np.uint8]
    joints: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.images)

    def draw(self, rng: np.random.Generator, count: int) -> Batch:
        """Draw `count` scenes, and which person is to change out of which outfit, the same in all of them."""
        chosen = rng.choice(len(self), count, replace=count > len(self))
        return self.batch(chosen, person=int(rng.integers(2)), outfit=int(rng.integers(2)))

    samples = draw

    def batch(self, scenes: npt.NDArray[np.int64], person: int, outfit: int) -> Batch:
        """Make a batch of one person of each scene.

        Args:
            scenes: (B,), which scenes.
            person: 0 or 1, who is to change clothes.
            outfit: 0 or 1, what the source wears; template and target wear the other one.
        """
        height, width = self.parsings.shape[-2:]

        def one(who: int, wearing: int) -> tuple[torch.Tensor, torch.Tensor]:
            pixels = torch.from_numpy(self.images[scenes, who, wearing]).permute(0, 3, 1, 2)
            regions = torch.from_numpy(parsing_maps(self.parsings[scenes, who, wearing]))
            return pixels.float() / 127.5 - 1, regions

        pose = torch.from_numpy(pose_maps(self.joints[scenes, person], height, width))
        source, target, template = one(person, outfit), one(person, 1 - outfit), one(1 - person, 1 - outfit)
        return Batch(*source, pose, *template, *target)


def render_scenes(scenes: range, seed: int, height: int, width: int, jobs: int = -1) -> Scenes:
    """Render scenes of people who are in no benchmark.

    In every other scene the second outfit keeps the first one's shape and differs in colour and pattern only, as when a
    photo is redrawn without changing its parsing.

    Args:
        scenes: numbers of the scenes; each number shows other people.
        seed: of all that is drawn.
        height: of the pictures, in pixels.
        width: of the pictures, in pixels.
        jobs: processes that render, -1 for one a core; the scenes do not depend on it.
    """
    tasks = [scenes[start : start + _SCENES_A_TASK] for start in range(0, len(scenes), _SCENES_A_TASK)]
    done = Parallel(n_jobs=usable_jobs(jobs), return_as="generator")(
        delayed(_render_some)(task, seed, height, width) for task in tasks
    )
    parts = []
    with progress("rendering", len(scenes), "scenes") as shown:
        for part in done:
            parts.append(part)
            shown.advance(len(part[0]))
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
            outfits = (outfits[0], _reshaped(outfits[1], outfits[0]))
        for person in (0, 1):
            identity, shot = draw_identity(rng), draw_shot(rng, cameras[int(rng.integers(len(cameras)))])
            for wearing, outfit in enumerate(outfits):
                images[index, person, wearing], annotation = render(identity, outfit, shot, height, width)
                parsings[index, person, wearing] = annotation.parsing
                joints[index, person] = annotation.joints
    return images, parsings, joints


def _reshaped(outfit: Outfit, like: Outfit) -> Outfit:
    """`outfit` in its own colours and pattern, in the shape of `like`."""
    return replace(
        outfit,
        sleeve=like.sleeve,
        hood=like.hood,
        lower_kind=like.lower_kind,
        hem=like.hem,
        looseness=like.looseness,
        leg_looseness=like.leg_looseness,
    )
