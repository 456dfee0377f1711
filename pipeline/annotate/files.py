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
from PIL import Image

from data.annotation import Joint
from data.photo import Photo
from data.readers.layout import read_text
from data.runtime.errors import InputError
from data.runtime.walk import digest_file, digest_files
from pipeline.annotate.annotator import NoAnnotation
from pipeline.annotate.label_spaces import LABEL_SPACES, to_regions
from pipeline.annotate.lookup import Lookup, match, tell_missing

_POINTS = {"pose_keypoints_2d", "pose_keypoints"}
_BODY_25 = [*range(8), *range(9, 19)]
"""OpenPose's 25 joints are its 18 with the middle of the hips as the ninth, then feet."""


class ParsingFolder:
    """Parsings as PNGs of labels, as SCHP and CIHP_PGN write them.

    The PNG of a photo lies where the photo lies below its root, or else directly in the folder, under the photo's name.
    Labels are grey levels, in one channel or in three equal ones, or palette indices; a map of another size than the
    photo's is resized to it.

    Args:
        folder: the PNGs.
        labels: their label space, a name in `LABEL_SPACES`.

    Raises:
        InputError: no such folder or label space.
    """

    def __init__(self, folder: str | Path, labels: str) -> None:
        self.folder, self.labels = Path(folder), labels
        if not self.folder.is_dir():
            raise InputError(f"{folder}: no such folder of parsing maps")
        if labels not in LABEL_SPACES:
            raise InputError(f"label space {labels!r} is unknown: choose one of {', '.join(LABEL_SPACES)}")
        self._files = Lookup(self.folder, "parsing map", ".png")

    def check(self, names: Sequence[str]) -> None:
        """See that every photo has a map of its own; InputError where two share one, or where none has any."""
        self._files.check(names)

    @property
    def origin(self) -> str:
        """The folder and the label space."""
        return f"{self.folder} (labels {self.labels})"

    @cached_property
    def digest(self) -> str:
        """Of the label space and of every PNG's name and bytes."""
        return hashlib.sha256(f"{self.labels} {digest_files(self.folder, ['.png'])}".encode()).hexdigest()

    def digest_of(self, name: str) -> str:
        """Of the label space and the photo's PNG."""
        file = self._files.find(name)
        return f"{self.labels} {digest_file(file) if file else None}"

    def __call__(self, photos: Sequence[Photo]) -> list[npt.NDArray[np.uint8] | NoAnnotation | None]:
        """Read the parsings of a batch."""
        return [self._read(photo) for photo in photos]

    def _read(self, photo: Photo) -> npt.NDArray[np.uint8] | NoAnnotation:
        file, size = self._files.find(photo.name), photo.pixels.shape[:2]
        if file is None:
            return NoAnnotation(self._files.missing(photo.name))
        try:
            with Image.open(file) as picture:
                labels = np.asarray(picture)
        except Exception as error:
            # Pillow's decoders meet a damaged file with errors of many kinds (OSError, SyntaxError, struct.error, ...).
            return NoAnnotation(f"{file}: the parsing map cannot be read ({error}): make it again or remove it")
        if labels.ndim == 3 and labels.shape[2] >= 3 and (labels[..., 1:3] == labels[..., :1]).all():
            labels = labels[..., 0]
        if labels.ndim != 2 or labels.dtype.kind not in "iu":
            return NoAnnotation(f"{file}: a picture of colours, not of labels: give the parser's plain or palette PNGs")
        try:
            regions = to_regions(labels, self.labels)
        except InputError as error:
            return NoAnnotation(f"{file}: {error}: is the label space right?")
        if regions.shape != size:
            resized = Image.fromarray(regions).resize((size[1], size[0]), Image.Resampling.NEAREST)
            return np.asarray(resized)
        return regions


class OpenPoseFolder:
    """Key points as OpenPose writes them: a `<name>_keypoints.json` a photo, of 18 or 25 joints.

    The file lies where the photo lies below its root, or else directly in the folder. Of several people the one with
    the highest sum of scores counts; those who cannot be read are passed over. Some programs write `pose_keypoints`, or
    a list of people or of such files: that is read, too.

    Args:
        folder: the JSON files.

    Raises:
        InputError: no such folder.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise InputError(f"{folder}: no such folder of OpenPose files")
        self._files = Lookup(self.folder, "file of key points", "_keypoints.json")

    def check(self, names: Sequence[str]) -> None:
        """See that every photo has a file of its own; InputError where two share one, or where none has any."""
        self._files.check(names)

    @property
    def origin(self) -> str:
        """The folder."""
        return str(self.folder)

    @cached_property
    def digest(self) -> str:
        """Of every file's name and bytes."""
        return digest_files(self.folder, [".json"])

    def digest_of(self, name: str) -> str:
        """Of the photo's file."""
        file = self._files.find(name)
        return str(digest_file(file) if file else None)

    def __call__(self, photos: Sequence[Photo]) -> list[npt.NDArray[np.float32] | NoAnnotation | None]:
        """Read the joints of a batch; None for a photo in whose file nobody is."""
        return [self._read(photo) for photo in photos]

    def _read(self, photo: Photo) -> npt.NDArray[np.float32] | NoAnnotation | None:
        file = self._files.find(photo.name)
        if file is None:
            return NoAnnotation(self._files.missing(photo.name))
        try:
            people = _people(json.loads(file.read_bytes()))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            return NoAnnotation(f"{file}: not OpenPose's JSON ({error}): make it again or remove it")
        if not people:
            return None
        person = max(people, key=lambda joints: float(np.nansum(joints[:, 2])))
        if len(person) != len(Joint):
            person = person[_BODY_25]
        return _joints(person[:, :2], (person[:, 2] > 0) & np.isfinite(person).all(1))


class KeypointsCsv:
    """Key points as the pose-transfer literature keeps them: a CSV with the header `name:keypoints_y:keypoints_x`.

    Each row has a photo's name and two lists of 18 whole numbers, -1 for a missing joint. The name is the photo's path
    below its root, or its file name alone. A row that is wrong is its photo's fault.

    Args:
        file: the CSV.

    Raises:
        InputError: no such file, another header, or no row that can be read.
    """

    def __init__(self, file: str | Path) -> None:
        self.file = Path(file)
        if not self.file.is_file():
            raise InputError(f"{file}: no such file of key points")
        self._lines: dict[str, list[int]] = {}
        self._rows = self._read()

    def check(self, names: Sequence[str]) -> None:
        """See that every photo has a row of its own.

        Raises:
            InputError: two photos share a row, two rows of one name differ, or no photo has any.
        """
        owners = match(names, self._row, self._shared)
        for row, name in owners.items():
            first, *others = self._lines[row.as_posix()]
            if others:
                raise InputError(f"{self.file}, line {others[0]}: {name} has other joints in line {first}: keep one")
        if len(owners) < len(names):
            lacking = next(name for name in names if self._row(name) is None)
            spare = (Path(row) for row in self._rows if Path(row) not in owners)
            tell_missing(self.file, "row of key points", (len(owners), len(names)), Path(lacking), spare)

    @property
    def origin(self) -> str:
        """The file."""
        return str(self.file)

    @cached_property
    def digest(self) -> str:
        """Of the file's bytes."""
        return hashlib.sha256(self.file.read_bytes()).hexdigest()

    def digest_of(self, name: str) -> str:
        """Of the photo's joints."""
        row = self._row(name)
        found = row and self._rows[row.as_posix()]
        return str(found.tolist() if isinstance(found, np.ndarray) else found)

    def __call__(self, photos: Sequence[Photo]) -> list[npt.NDArray[np.float32] | NoAnnotation | None]:
        """Look up the joints of a batch."""
        rows = [self._row(photo.name) for photo in photos]
        return [
            NoAnnotation(f"{photo.name}: no row of key points for it in {self.file}")
            if row is None
            else self._rows[row.as_posix()]
            for photo, row in zip(photos, rows, strict=True)
        ]

    def _row(self, name: str) -> Path | None:
        """The name of a photo's row: its own, or its file's alone."""
        return next((Path(row) for row in (name, Path(name).name) if row in self._rows), None)

    def _shared(self, row: Path, first: str, second: str) -> InputError:
        return InputError(
            f"{self.file}, line {self._lines[row.as_posix()][0]}: is {row} {first} or {second}? Give paths below the "
            "data set's folder as names"
        )

    def _read(self) -> dict[str, npt.NDArray[np.float32] | NoAnnotation]:
        """The joints in each row, by its name, or why they cannot be read."""
        try:
            header, *rows = read_text(self.file).splitlines()
        except ValueError as error:
            raise InputError(f"{self.file}: empty or no text: give a CSV of key points") from error
        if header.strip() != "name:keypoints_y:keypoints_x":
            raise InputError(f"{self.file}: its first line is {header[:60]!r}, not 'name:keypoints_y:keypoints_x'")
        joints: dict[str, npt.NDArray[np.float32] | NoAnnotation] = {}
        for number, row in enumerate(rows, start=2):
            if not row.strip():
                continue
            name, *lists = (part.strip() for part in row.rsplit(":", 2))
            found = self._joints_of(lists, number)
            if name not in joints or not _same(joints[name], found):
                self._lines.setdefault(name, []).append(number)
            joints[name] = found
        faults = [found for found in joints.values() if isinstance(found, NoAnnotation)]
        if faults and len(faults) == len(joints):
            raise InputError(f"none of {len(joints):,} rows can be read; the first: {faults[0].reason}")
        return joints

    def _joints_of(self, lists: Sequence[str], number: int) -> npt.NDArray[np.float32] | NoAnnotation:
        try:
            y, x = (np.array(json.loads(values), np.float32) for values in lists)
            if x.shape != (len(Joint),) or y.shape != x.shape:
                raise ValueError(f"{y.size} and {x.size} numbers, not 18 and 18")
        except (ValueError, TypeError, RecursionError) as error:
            return NoAnnotation(f"{self.file}, line {number}: no name and two lists of 18 ({error}): mend the row")
        return _joints(np.stack([x, y], 1), (x >= 0) & (y >= 0))


def _same(one: npt.NDArray[np.float32] | NoAnnotation, other: npt.NDArray[np.float32] | NoAnnotation) -> bool:
    if isinstance(one, NoAnnotation) or isinstance(other, NoAnnotation):
        return False
    return np.array_equal(one, other, equal_nan=True)


def open_keypoints(place: Path) -> OpenPoseFolder | KeypointsCsv:
    """Open key points that people have: a folder of JSON files, or a CSV; InputError as either raises it."""
    return OpenPoseFolder(place) if place.is_dir() else KeypointsCsv(place)


def _joints(points: npt.NDArray[np.float32], found: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Joints from indices of pixels, whose centres are half a pixel further on."""
    return np.where(found[:, None], points + np.float32(0.5), np.float32(np.nan))


def _people(content: Any) -> list[npt.NDArray[np.float32]]:
    """The joints (18 or 25, 3) of each person in a JSON file who can be read; ValueError, or others, if none can."""
    entries = content if isinstance(content, list) else [content]
    if not entries:
        raise ValueError("an empty list")
    people: list[npt.NDArray[np.float32]] = []
    unread = None
    for person in [one for entry in entries for one in (entry["people"] if _POINTS.isdisjoint(entry) else [entry])]:
        points = (person or {}).get("pose_keypoints_2d", (person or {}).get("pose_keypoints"))
        if not points:
            continue
        try:
            joints = np.array(points, np.float32).reshape(-1, 3)
            if len(joints) not in (len(Joint), 25):
                raise ValueError(f"{len(joints)} joints, neither 18 nor 25")
            people.append(joints)
        except (ValueError, TypeError) as error:
            unread = error
    if unread and not people:
        raise unread
    return people
