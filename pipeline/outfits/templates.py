"""Clothing templates: the photos whose clothes all others are redrawn in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from data.annotation import CLOTHING_REGIONS, FOLDER, Annotation, Joint, parsing_maps
from data.photo import read_photo
from data.readers import layout
from data.runtime.errors import InputError
from data.runtime.files import replacing
from data.sheet import contact_sheet
from pipeline.annotate.annotator import Annotator, StoredAnnotations, digest_files
from pipeline.framing import Canvas, resize
from pipeline.outfits.shape import Cut, measure_cut
from pipeline.outfits.skeleton import TROUSERS
from pipeline.pise import Generator

FILE = "templates.npz"
SHEET = "templates.png"

_CANDIDATES = 256
_BATCH = 16
_FEWEST_CLOTHES = 0.04
_STEEPEST = 0.35
_ODD = 0.1


@dataclass(frozen=True)
class TemplateChoice:
    """How many templates there shall be, and where they come from: a folder, or the training photos themselves.

    A folder may hold annotations of its own (as `data.annotation` writes them). Raises InputError for a folder with
    fewer pictures than templates.
    """

    count: int
    folder: Path | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the folder."""
        if self.folder is None:
            return
        if not self.folder.is_dir():
            raise InputError(f"{self.folder}: no such folder: give one with pictures of clothed people as TEMPLATES")
        if len(self.photos) < self.count:
            raise InputError(f"{self.folder}: {len(self.photos)} pictures, but {self.count} templates are wanted")

    @cached_property
    def photos(self) -> list[Path]:
        """The folder's pictures."""
        if self.folder is None:
            return []
        inside = layout.images(self.folder)
        return [path for path in inside if path.relative_to(self.folder).parts[0] != FOLDER]

    @cached_property
    def recipe(self) -> dict[str, Any]:
        """What decides the templates, given photos, annotator and generator, as JSON."""
        digest = digest_files(self.folder, [*layout.SUFFIXES, ".json"]) if self.folder else None
        return {"count": self.count, "seed": self.seed, "folder": digest}


@dataclass(frozen=True)
class Templates:
    """T templates.

    Paths, pictures uint8 (T, H, W, 3) in the store's size, codes (T, 9, 4C) and present (T, 8), and the clothes' cuts.
    """

    photos: tuple[str, ...]
    pictures: npt.NDArray[np.uint8]
    codes: npt.NDArray[np.float32]
    present: npt.NDArray[np.float32]
    cuts: tuple[Cut, ...]


def choose(
    choice: TemplateChoice,
    photos: Sequence[Path],
    annotator: Annotator,
    generator: Generator,
    canvas: Canvas,
    size: tuple[int, int],
) -> Templates:
    """Choose templates that differ in their clothes; `size` (height, width) is that of their pictures.

    From the folder, or 256 photos drawn from all. Those that cannot be read, show no person or, if enough others are
    there, are not upright and well parsed, are left out; then the farthest-point rule (Gonzalez 1985) picks from the
    rest by the style codes of the clothing regions: first the one nearest to the mean, then again and again the one
    farthest from all picked so far. Before that the tenth that is farthest from its own neighbours is dropped, since
    the rule would pick just the failures of parsing.

    Raises InputError where too few are left.
    """
    if choice.folder is None:
        random = np.random.default_rng(choice.seed)
        drawn = random.permutation(len(photos))[: max(_CANDIDATES, choice.count)]
        candidates = [photos[index] for index in drawn]
    else:
        candidates = choice.photos
        if (choice.folder / FOLDER).is_dir():
            annotator = StoredAnnotations(choice.folder)
    seen = list(_annotated(candidates, annotator))
    if len(seen) < choice.count:
        raise InputError(
            f"{choice.folder or 'the training photos'}: only {len(seen)} of {len(candidates)} pictures show a usable "
            f"person, but {choice.count} templates are wanted: give others as TEMPLATES"
        )
    good = [entry for entry in seen if upright_and_clothed(entry[2])]
    if len(good) < choice.count:
        good = seen
    fitted = [canvas.fit(image, annotation)[:2] for _, image, annotation in good]
    codes, present = _styles(fitted, generator)
    everyone = len(good) == choice.count
    picked = list(range(choice.count)) if everyone else farthest(_outfits(codes, present), choice.count)
    return Templates(
        photos=tuple(str(good[index][0]) for index in picked),
        pictures=np.stack([resize(good[index][1], size) for index in picked]),
        codes=codes[picked],
        present=present[picked],
        cuts=tuple(measure_cut(fitted[index][1]) for index in picked),
    )


def farthest(points: npt.NDArray[np.float32], count: int) -> list[int]:
    """Indices of `count` of the points (N, d) that lie far apart; see `choose`."""
    distance = np.linalg.norm(points[:, None] - points[None], axis=-1)
    nearest = np.sort(distance, axis=1)[:, min(3, len(points) - 1)]
    keep = np.argsort(nearest, kind="stable")[: max(count, round(len(points) * (1 - _ODD)))]
    distance = distance[np.ix_(keep, keep)]
    picked = [int(np.linalg.norm(points[keep] - points[keep].mean(0), axis=1).argmin())]
    while len(picked) < count:
        gap = distance[:, picked].min(1)
        gap[picked] = -1
        picked.append(int(gap.argmax()))
    return [int(keep[index]) for index in picked]


def upright_and_clothed(annotation: Annotation) -> bool:
    """Whether a person stands (neck over hips over knees, leaning less than 19 degrees) and shows enough clothes."""
    joints = {joint.title: annotation.joints[joint] for joint in Joint}
    hips, knees = ((joints[f"left {part}"] + joints[f"right {part}"]) / 2 for part in ("hip", "knee"))
    across, down = hips - joints["neck"]
    standing = abs(across) <= _STEEPEST * down and knees[1] > hips[1]
    upper, lower = np.isin(annotation.parsing, [3]).mean(), np.isin(annotation.parsing, [4, 5]).mean()
    return bool(standing and upper >= _FEWEST_CLOTHES and (lower >= _FEWEST_CLOTHES or upper >= 3 * _FEWEST_CLOTHES))


def deal(count: int, versions: int, seed: int, source: str) -> npt.NDArray[np.int32]:
    """Which of `count` templates the versions of a photo wear, (versions,): all in order, or drawn by seed and path."""
    if count == versions:
        return np.arange(versions, dtype=np.int32)
    digest = hashlib.sha256(f"{seed} {source!r}".encode()).digest()
    random = np.random.default_rng(int.from_bytes(digest[:8], "little"))
    return random.choice(count, versions, replace=False).astype(np.int32)


def save(folder: Path, templates: Templates) -> None:
    """Write the templates and their contact sheet into a folder; the file of the templates appears last."""
    count = len(templates.photos)
    across = min(count, 16)
    rows = [list(templates.pictures[start : start + across]) for start in range(0, count, across)]
    with replacing(folder / SHEET) as temporary:
        contact_sheet(rows).save(temporary, format="PNG")
    with replacing(folder / FILE) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            photos=np.array([photo.encode("utf-8", "surrogateescape") for photo in templates.photos]),
            pictures=templates.pictures,
            codes=templates.codes,
            present=templates.present,
            cuts=np.array([json.dumps(asdict(cut)) for cut in templates.cuts]),
        )


def load(folder: Path) -> Templates:
    """Read what `save` wrote. Raises InputError if it is damaged."""
    try:
        with np.load(folder / FILE) as file:
            photos = tuple(photo.decode("utf-8", "surrogateescape") for photo in file["photos"])
            cuts = tuple(Cut(**json.loads(str(cut))) for cut in file["cuts"])
            return Templates(photos, file["pictures"], file["codes"], file["present"], cuts)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / FILE}: damaged ({error}): remove {folder} and repeat `make sync`") from error


def without_shoes(templates: Templates) -> npt.NDArray[np.float32]:
    """Which regions the templates have, (T, 8); shoes alone, which are labelled as trousers, do not count as trousers.

    For redrawing in the photo's own cut: the shoes of somebody in a skirt or a dress must not colour trousers.
    """
    present = templates.present.copy()
    present[[cut.lower != "trousers" for cut in templates.cuts], TROUSERS] = 0
    return present


def _annotated(
    candidates: Sequence[Path], annotator: Annotator
) -> Iterator[tuple[Path, npt.NDArray[np.uint8], Annotation]]:
    """The candidates that can be read and show a person."""
    for start in range(0, len(candidates), _BATCH):
        batch = []
        for path in candidates[start : start + _BATCH]:
            try:
                batch.append((path, read_photo(path)))
            except InputError:
                continue
        for (path, image), annotation in zip(batch, annotator(batch), strict=True):
            if annotation is not None:
                yield path, image, annotation


@torch.inference_mode()
def _styles(
    fitted: Sequence[tuple[npt.NDArray[np.uint8], Annotation]], generator: Generator
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    device = next(generator.parameters()).device
    parts = []
    for start in range(0, len(fitted), _BATCH):
        batch = fitted[start : start + _BATCH]
        image = as_tensor(np.stack([image for image, _ in batch]), device)
        parsing = torch.from_numpy(parsing_maps(np.stack([annotation.parsing for _, annotation in batch]))).to(device)
        parts.append([part.cpu().numpy() for part in generator.style(image, parsing)])
    codes, present = (np.concatenate(part) for part in zip(*parts, strict=True))
    return codes, present


def _outfits(codes: npt.NDArray[np.float32], present: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The codes of the clothing regions in one vector, those of absent regions 0."""
    regions = list(CLOTHING_REGIONS)
    return (codes[:, regions] * present[:, regions, None]).reshape(len(codes), -1)


def as_tensor(images: npt.NDArray[np.uint8], device: torch.device) -> torch.Tensor:
    """Pictures uint8 (B, H, W, 3) as float32 (B, 3, H, W) in [-1, 1] on a device."""
    return torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
