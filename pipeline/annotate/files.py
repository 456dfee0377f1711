"""Annotations that people already have: folders of parsing PNGs, OpenPose's JSON files, CSVs of key points."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from data.annotation import Joint
from data.photo import Photo
from data.runtime.digests import digest_file, digest_files
from data.runtime.errors import InputError
from pipeline.annotate.label_spaces import LABEL_SPACES, to_regions

_BODY_25 = [*range(8), *range(9, 19)]
"""OpenPose's 25 joints are its 18 with the middle of the hips as the ninth, then feet."""


class ParsingFolder:
    """Parsings as PNGs of labels, as SCHP and CIHP_PGN write them.

    The PNG of a photo lies where the photo lies below its root, or else directly in the folder, under the photo's name.
    Labels are grey levels or palette indices; a map of another size than the photo's is resized to it.

    Args:
        folder: the PNGs.
        labels: their label space, a name in `LABEL_SPACES`.

    Raises:
        InputError: no such folder or label space; when called, a map that cannot be read or has other labels.
    """

    def __init__(self, folder: str | Path, labels: str) -> None:
        self.folder, self.labels = Path(folder), labels
        if not self.folder.is_dir():
            raise InputError(f"{folder}: no such folder of parsing maps")
        if labels not in LABEL_SPACES:
            raise InputError(f"label space {labels!r} is unknown: choose one of {', '.join(LABEL_SPACES)}")

    @cached_property
    def digest(self) -> str:
        """Of the label space and of every PNG's name and bytes."""
        return hashlib.sha256(f"{self.labels} {digest_files(self.folder, ['.png'])}".encode()).hexdigest()

    def digest_of(self, name: str) -> str:
        """Of the label space and the photo's PNG."""
        file = _file_of(name, self.folder, ".png")
        return f"{self.labels} {digest_file(file) if file else None}"

    def __call__(self, photos: Sequence[Photo]) -> list[npt.NDArray[np.uint8] | None]:
        """Read the parsings of a batch; None for a photo without a PNG."""
        files = [_file_of(photo.name, self.folder, ".png") for photo in photos]
        return [
            None if file is None else self._read(file, photo.pixels.shape[:2])
            for file, photo in zip(files, photos, strict=True)
        ]

    def _read(self, file: Path, size: tuple[int, ...]) -> npt.NDArray[np.uint8]:
        try:
            with Image.open(file) as picture:
                labels = np.asarray(picture)
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
            raise InputError(f"{file}: the parsing map cannot be read ({error}): make it again or remove it") from error
        if labels.ndim != 2 or labels.dtype.kind not in "iu":
            raise InputError(f"{file}: a picture of colours, not of labels: give the parser's plain or palette PNGs")
        try:
            regions = to_regions(labels, self.labels)
        except InputError as error:
            raise InputError(f"{file}: {error}: is the label space right?") from error
        if regions.shape != size:
            resized = Image.fromarray(regions).resize((size[1], size[0]), Image.Resampling.NEAREST)
            return np.asarray(resized)
        return regions


class OpenPoseFolder:
    """Key points as OpenPose writes them: a `<name>_keypoints.json` a photo, of 18 or 25 joints.

    The file lies where the photo lies below its root, or else directly in the folder. Of several people the one with
    the highest sum of scores counts.

    Args:
        folder: the JSON files.

    Raises:
        InputError: no such folder; when called, a file that is no OpenPose output.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise InputError(f"{folder}: no such folder of OpenPose files")

    @cached_property
    def digest(self) -> str:
        """Of every file's name and bytes."""
        return digest_files(self.folder, [".json"])

    def digest_of(self, name: str) -> str:
        """Of the photo's file."""
        file = _file_of(name, self.folder, "_keypoints.json")
        return str(digest_file(file) if file else None)

    def __call__(self, photos: Sequence[Photo]) -> list[npt.NDArray[np.float32] | None]:
        """Read the joints of a batch; None for a photo without a file, or in whose file nobody is."""
        files = [_file_of(photo.name, self.folder, "_keypoints.json") for photo in photos]
        return [None if file is None else self._read(file) for file in files]

    def _read(self, file: Path) -> npt.NDArray[np.float32] | None:
        try:
            content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            people = [np.array(person["pose_keypoints_2d"], np.float32).reshape(-1, 3) for person in content["people"]]
            if any(len(person) not in (len(Joint), 25) for person in people):
                raise ValueError("neither 18 nor 25 joints")
        except (ValueError, KeyError, TypeError, UnicodeDecodeError) as error:
            raise InputError(f"{file}: not OpenPose's JSON ({error}): make it again or remove it") from error
        if not people:
            return None
        person = max(people, key=lambda joints: float(joints[:, 2].sum()))
        if len(person) != len(Joint):
            person = person[_BODY_25]
        return _joints(person[:, :2], person[:, 2] > 0)


class KeypointsCsv:
    """Key points as the pose-transfer literature keeps them: a CSV with the header `name:keypoints_y:keypoints_x`.

    Each row has a photo's name and two lists of 18 whole numbers, -1 for a missing joint. The name is the photo's path
    below its root, or its file name alone.

    Args:
        file: the CSV.

    Raises:
        InputError: no such file, or the first row that is wrong, with its number.
    """

    def __init__(self, file: str | Path) -> None:
        self.file = Path(file)
        if not self.file.is_file():
            raise InputError(f"{file}: no such file of key points")
        self._joints = self._read()

    @cached_property
    def digest(self) -> str:
        """Of the file's bytes."""
        return hashlib.sha256(self.file.read_bytes()).hexdigest()

    def digest_of(self, name: str) -> str:
        """Of the photo's joints."""
        joints = self._joints.get(name, self._joints.get(Path(name).name))
        return str(joints if joints is None else joints.tolist())

    def __call__(self, photos: Sequence[Photo]) -> list[npt.NDArray[np.float32] | None]:
        """Look up the joints of a batch; None for a photo that is not in the file."""
        return [self._joints.get(photo.name, self._joints.get(photo.path.name)) for photo in photos]

    def _read(self) -> dict[str, npt.NDArray[np.float32]]:
        try:
            header, *rows = self.file.read_text(encoding="utf-8-sig").splitlines()
        except (UnicodeDecodeError, ValueError) as error:
            raise InputError(f"{self.file}: empty or no text: give a CSV of key points") from error
        if header.strip() != "name:keypoints_y:keypoints_x":
            raise InputError(f"{self.file}: its first line is {header[:60]!r}, not 'name:keypoints_y:keypoints_x'")
        joints = {}
        for number, row in enumerate(rows, start=2):
            if not row.strip():
                continue
            try:
                name, *lists = row.rsplit(":", 2)
                y, x = (np.array(json.loads(values), np.float32) for values in lists)
                if x.shape != (len(Joint),) or y.shape != x.shape:
                    raise ValueError(f"{y.size} and {x.size} numbers, not 18 and 18")
            except (ValueError, TypeError) as error:
                raise InputError(f"{self.file}, line {number}: no name and two lists of 18 ({error})") from error
            joints[name.strip()] = _joints(np.stack([x, y], 1), (x >= 0) & (y >= 0))
        return joints


def _joints(points: npt.NDArray[np.float32], found: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Joints from indices of pixels, whose centres are half a pixel further on."""
    return np.where(found[:, None], points + np.float32(0.5), np.float32(np.nan))


def _file_of(name: str, folder: Path, ending: str) -> Path | None:
    below = Path(name)
    beside = folder / below.with_name(below.stem + ending)
    return next((file for file in (beside, folder / beside.name) if file.is_file()), None)
