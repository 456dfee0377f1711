"""Pose and parsing of a photo: 18 joints and a map of 8 regions, and the files that keep them beside the photos."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from data.photo import name_below
from data.runtime.errors import InputError
from data.runtime.files import replacing


class Region(IntEnum):
    """The 8 regions of PISE's parsing maps, by label; skirt and trousers are both lower clothes, shoes go with them."""

    BACKGROUND = 0
    HAT = 1
    HAIR = 2
    UPPER_CLOTHES = 3
    SKIRT = 4
    TROUSERS = 5
    SKIN = 6
    FACE = 7

    @property
    def title(self) -> str:
        """Its name in words."""
        return self.name.lower().replace("_", " ")


class Joint(IntEnum):
    """The 18 joints in PISE's (OpenPose's) order."""

    NOSE = 0
    NECK = 1
    RIGHT_SHOULDER = 2
    RIGHT_ELBOW = 3
    RIGHT_WRIST = 4
    LEFT_SHOULDER = 5
    LEFT_ELBOW = 6
    LEFT_WRIST = 7
    RIGHT_HIP = 8
    RIGHT_KNEE = 9
    RIGHT_ANKLE = 10
    LEFT_HIP = 11
    LEFT_KNEE = 12
    LEFT_ANKLE = 13
    RIGHT_EYE = 14
    LEFT_EYE = 15
    RIGHT_EAR = 16
    LEFT_EAR = 17

    @property
    def title(self) -> str:
        """Its name in words."""
        return self.name.lower().replace("_", " ")

    @property
    def mirrored(self) -> Joint:
        """The joint of the other side, which a flip of the photo puts in its place; nose and neck stay."""
        side, _, part = self.name.partition("_")
        return Joint[f"{_OTHER_SIDE[side]}_{part}"] if part else self


_OTHER_SIDE = {"LEFT": "RIGHT", "RIGHT": "LEFT"}

MIRRORED_JOINTS = [joint.mirrored for joint in Joint]
"""Whose place each joint takes in a flipped photo."""

CLOTHING_REGIONS = (Region.UPPER_CLOTHES, Region.SKIRT, Region.TROUSERS)
"""Regions that change with the clothes."""

FOLDER = "annotation"
"""Folder of the annotation files inside a dataset's root."""

_SIGMA_AT_256 = 6.0
_PALETTE = (0, 0, 0, 128, 64, 0, 255, 128, 0, 220, 40, 60, 60, 90, 220, 40, 170, 230, 240, 190, 150, 255, 235, 120)


@dataclass(frozen=True)
class Annotation:
    """Pose and parsing of one photo.

    `joints`: float32 (18, 2), x and y in pixels of the photo (the centre of the first pixel is 0.5), NaN where a joint
    is missing. `parsing`: uint8 (H, W), labels 0 to 7, see `Region`.
    """

    joints: npt.NDArray[np.float32]
    parsing: npt.NDArray[np.uint8]

    def __post_init__(self) -> None:
        if self.joints.shape != (len(Joint), 2):
            raise ValueError(f"joints are {self.joints.shape}, not ({len(Joint)}, 2)")
        if self.parsing.ndim != 2 or self.parsing.max(initial=0) >= len(Region):
            raise ValueError("a parsing is a map (H, W) of labels 0 to 7")

    def resize(self, height: int, width: int) -> Annotation:
        """The annotation of the photo resized to `height` x `width`; labels by nearest neighbour."""
        rows, columns = self.parsing.shape
        if (rows, columns) == (height, width):
            return self
        parsing = Image.fromarray(self.parsing).resize((width, height), Image.Resampling.NEAREST)
        scale = np.array([width / columns, height / rows], dtype=np.float32)
        return Annotation(self.joints * scale, np.asarray(parsing))


def write_annotation(root: Path, photo: Path, annotation: Annotation) -> None:
    """Write the annotation of `photo` (a file under `root`): a palette PNG of the parsing and a JSON of the joints.

    A file with its final name is whole.
    """
    parsing_file, joints_file = annotation_files(root, photo)
    parsing_file.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(annotation.parsing)
    picture.putpalette(_PALETTE)
    joints = [None if np.isnan(x) else [round(float(x), 2), round(float(y), 2)] for x, y in annotation.joints]
    with replacing(parsing_file, flushed=False) as temporary:
        picture.save(temporary, format="PNG")
    with replacing(joints_file, flushed=False) as temporary:
        temporary.write_text(json.dumps({"joints": joints}), encoding="utf-8")


def read_annotation(root: Path, photo: Path) -> Annotation:
    """Read what `write_annotation` wrote for `photo`, a file under `root`.

    Raises InputError if a file is missing or cannot be used.
    """
    parsing_file, joints_file = annotation_files(root, photo)
    try:
        with Image.open(parsing_file) as picture:
            parsing = np.asarray(picture)
        stored = json.loads(joints_file.read_text(encoding="utf-8"))["joints"]
        joints = np.array([(np.nan, np.nan) if joint is None else joint for joint in stored], dtype=np.float32)
        return Annotation(joints, parsing)
    except FileNotFoundError as error:
        raise InputError(f"{photo}: no annotation ({error.filename} is missing): annotate the photos first") from error
    except (UnidentifiedImageError, OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{parsing_file}: damaged annotation ({error}): remove it and annotate again") from error


def pose_maps(joints: npt.NDArray[np.floating[Any]], height: int, width: int) -> npt.NDArray[np.float32]:
    """Gaussian joint maps as PISE reads them.

    `joints`: (B, 18, 2), x and y in pixels, NaN = missing. Returns float32 (B, 18, height, width) in [0, 1]: peak 1 at
    the joint, sigma 6 pixels at a height of 256 and in proportion at others; a missing joint is an empty map.
    """
    down, across = pose_profiles(joints, height, width)
    return down[..., :, None] * across[..., None, :]


def pose_profiles(
    joints: npt.NDArray[np.floating[Any]], height: int, width: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """What `pose_maps` are products of: profiles down (B, 18, height) and across (B, 18, width), float32."""
    sigma = _SIGMA_AT_256 * height / 256
    profiles = [
        np.exp(-((np.arange(side) + 0.5 - at[..., None]) ** 2) / (2 * sigma**2))
        for side, at in ((height, joints[..., 1]), (width, joints[..., 0]))
    ]
    down, across = (np.nan_to_num(profile, copy=False, nan=0.0).astype(np.float32) for profile in profiles)
    return down, across


def parsing_maps(parsing: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """One-hot region maps: labels (B, H, W) of 0 to 7 become float32 (B, 8, H, W)."""
    return np.stack([parsing == label for label in range(len(Region))], axis=1).astype(np.float32)


def annotation_files(root: Path, photo: Path) -> tuple[Path, Path]:
    """Name the parsing and the joints file of a photo, a file under `root`, whether they are there or not."""
    # Not resolved: a photo lies where its path says, also where a part of it is a link to somewhere else.
    relative = name_below(photo, root)
    if relative.startswith("../"):
        raise InputError(f"{photo} does not lie under {root}: give the dataset's own root")
    stem = root / FOLDER / relative
    return stem.with_name(stem.name + ".png"), stem.with_name(stem.name + ".json")
