"""Pictures of people with exact pose and regions: two folders of rendered 3-D people, and walkers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from joblib import Parallel, delayed

from data.annotation import Region, read_annotation
from data.photo import read_photo
from data.runtime.errors import InputError
from data.runtime.processes import usable_jobs
from data.walkers.camera import CAMERAS, draw_shot
from data.walkers.person import draw_identity, draw_outfit
from data.walkers.render import render

HEIGHT, WIDTH = 256, 128

# How often each kind is drawn, and how much more often pictures with a rare garment are.
_SHARES = {"pairs": 0.52, "mannequins": 0.36, "walkers": 0.12}
_SKIRT_OFTENER, _HAT_OFTENER = 3.0, 2.0
_LEAST_SKIRT, _LEAST_HAT = 0.004, 0.001  # of the picture
_WALKERS, _A_TASK = 880, 40
_STREAM = 14  # of random numbers: these walkers are in no benchmark


@dataclass(frozen=True)
class Pictures:
    """N pictures of 256x128 to learn from.

    `images` uint8 (N, 256, 128, 3), `parsings` uint8 (N, 256, 128), `joints` float32 (N, 18, 2) in pixels, `often`
    float64 (N,): the probability that one is drawn, 1 in all.
    """

    images: npt.NDArray[np.uint8]
    parsings: npt.NDArray[np.uint8]
    joints: npt.NDArray[np.float32]
    often: npt.NDArray[np.float64]

    @staticmethod
    def gather(root: Path, held_out: int, jobs: int) -> Pictures:
        """Read `pairs/pairs` but its last `held_out` people and `mannequins/rgb/train` below `root`; render walkers.

        Raises InputError if a folder or an annotation is missing, or a picture has another size.
        """
        pairs, mannequins = root / "pairs", root / "mannequins"
        people = people_of(pairs)
        kinds = [
            _read(pairs, [photo for person in people[: len(people) - held_out] for photo in sorted(person.iterdir())]),
            _read(mannequins, _below(mannequins / "rgb" / "train")),
            _walkers(jobs),
        ]
        images, parsings, joints = (np.concatenate(parts) for parts in zip(*kinds, strict=True))
        counts = [len(kind[0]) for kind in kinds]
        shares = np.array(list(_SHARES.values())) / counts
        often = np.repeat(shares, counts)
        skirt = (parsings == Region.SKIRT).mean((1, 2)) > _LEAST_SKIRT
        skirt[-counts[-1] :] = False  # Half of the walkers wear one as it is.
        often[skirt] *= _SKIRT_OFTENER
        often[(parsings == Region.HAT).mean((1, 2)) > _LEAST_HAT] *= _HAT_OFTENER
        return Pictures(images, parsings, joints, often / often.sum())


def people_of(pairs: Path) -> list[Path]:
    """The folders of the people in `pairs`, in order; InputError if there are none."""
    folder = pairs / "pairs"
    people = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if not people:
        raise InputError(f"{folder}: no folders of people: give DATA_ROOT, which holds pairs/ and mannequins/")
    return people


_Arrays = tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], npt.NDArray[np.float32]]


def _read(root: Path, photos: Sequence[Path]) -> _Arrays:
    images = np.empty((len(photos), HEIGHT, WIDTH, 3), np.uint8)
    parsings = np.empty((len(photos), HEIGHT, WIDTH), np.uint8)
    joints = np.empty((len(photos), 18, 2), np.float32)
    for row, photo in enumerate(photos):
        annotation = read_annotation(root, photo)
        pixels = read_photo(photo)
        if pixels.shape[:2] != (HEIGHT, WIDTH):
            raise InputError(f"{photo}: {pixels.shape[0]}x{pixels.shape[1]} pixels, where {HEIGHT}x{WIDTH} are wanted")
        images[row], parsings[row], joints[row] = pixels, annotation.parsing, annotation.joints
    return images, parsings, joints


def _below(folder: Path) -> list[Path]:
    photos = sorted(path for path in folder.rglob("*.jpg"))
    if not photos:
        raise InputError(f"{folder}: no pictures: give DATA_ROOT, which holds pairs/ and mannequins/")
    return photos


def _walkers(jobs: int) -> _Arrays:
    tasks = [range(start, start + _A_TASK) for start in range(0, _WALKERS, _A_TASK)]
    parts = Parallel(n_jobs=usable_jobs(jobs))(delayed(_render)(task) for task in tasks)
    images, parsings, joints = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return images, parsings, joints


def _render(numbers: range) -> _Arrays:
    cameras = tuple(CAMERAS.values())
    pixels, annotations = [], []
    for number in numbers:
        rng = np.random.default_rng((_STREAM, number))
        shot = draw_shot(rng, cameras[number % len(cameras)])
        image, annotation = render(draw_identity(rng), draw_outfit(rng), shot, HEIGHT, WIDTH)
        pixels.append(image)
        annotations.append(annotation)
    parsings = np.stack([annotation.parsing for annotation in annotations])
    return np.stack(pixels), parsings, np.stack([annotation.joints for annotation in annotations])
