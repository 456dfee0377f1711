"""The walkers written to disk: JPEGs in PRCC's own folder layout, with the exact pose and parsing of each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from PIL import Image

from data.annotation import write_annotation
from data.runtime.errors import InputError
from data.runtime.files import replacing
from data.runtime.processes import usable_jobs
from data.runtime.progress import progress
from data.sheet import contact_sheet
from data.walkers.camera import CAMERAS, PLACES, Shot, draw_shot
from data.walkers.person import Identity, Outfit, draw_identity, draw_outfit
from data.walkers.render import render

RECIPE_FILE = "walkers.json"
SHEET_FILE = "sheet.png"

_BATCH = 64  # photos that a process renders at a time
_PEOPLE_ON_SHEET = 8

_SPLITS = ("train", "val", "test")
_WARDROBE = {"A": 0, "B": 0, "C": 1}  # PRCC: A and B see the same outfit, C another


@dataclass(frozen=True)
class Recipe:
    """All that decides a pixel of the benchmark. The people of the three splits are different people."""

    seed: int = 0
    train_people: int = 64
    val_people: int = 32
    test_people: int = 50
    train_photos: int = 8  # of a person by a camera
    test_photos: int = 4  # of a person by a camera, in val and test
    height: int = 128
    width: int = 64
    places: bool = False  # cameras stand in places full of contrast
    version: int = 1  # raised when the renderer draws otherwise


@dataclass(frozen=True)
class WalkerPhoto:
    """Which photo: of whom, by which camera, and its number among these."""

    split: str
    person: int
    camera: str
    number: int

    @property
    def path(self) -> Path:
        """Where PRCC's layout keeps it, below the root."""
        person, name = f"{self.person:03d}", f"cropped_rgb{self.number:03d}.jpg"
        if self.split == "test":
            return Path("rgb", "test", self.camera, person, name)
        return Path("rgb", self.split, person, f"{self.camera}_{name}")


def photo_at(path: Path) -> WalkerPhoto:
    """Which photo lies at a path below the root; the inverse of `WalkerPhoto.path`. InputError if none can."""
    try:
        _, split, *folders, name = path.parts
        camera, person = folders if split == "test" else (name[0], folders[0])
        photo = WalkerPhoto(split, int(person), camera, int(name[-7:-4]))
        if photo.path == path:
            return photo
    except (ValueError, IndexError):
        pass
    raise InputError(f"{path} is not a photo of the walkers: give a path below their root, as they were written")


def scene(recipe: Recipe, photo: WalkerPhoto) -> tuple[Identity, Outfit, Shot]:
    """Who is in a photo, in what clothes, and how it was taken."""
    who = (recipe.seed, _SPLITS.index(photo.split), photo.person)
    identity = draw_identity(np.random.default_rng((*who, 0)))
    outfit = draw_outfit(np.random.default_rng((*who, 1, _WARDROBE[photo.camera])))
    shot = np.random.default_rng((*who, 2, ord(photo.camera), photo.number))
    return identity, outfit, draw_shot(shot, (PLACES if recipe.places else CAMERAS)[photo.camera])


def photos(recipe: Recipe) -> Iterator[WalkerPhoto]:
    """Every photo of the benchmark, person by person."""
    first = 1
    for split in _SPLITS:
        people = {"train": recipe.train_people, "val": recipe.val_people, "test": recipe.test_people}[split]
        count = recipe.train_photos if split == "train" else recipe.test_photos
        for person in range(first, first + people):
            for camera in CAMERAS:
                for number in range(1, count + 1):
                    yield WalkerPhoto(split, person, camera, number)
        first += people


def read_recipe(root: Path) -> Recipe:
    """Read the recipe of the walkers at `root`; InputError if there are none."""
    try:
        return Recipe(**json.loads((root / RECIPE_FILE).read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"{root} holds no walkers ({RECIPE_FILE} is missing): run `make walkers`") from error
    except (ValueError, TypeError) as error:
        raise InputError(f"{root / RECIPE_FILE} is damaged ({error}): remove {root} and run `make walkers`") from error


def write_walkers(root: Path, recipe: Recipe, jobs: int = -1) -> bool:
    """Render the benchmark into `root`, unless it is there already: True if it was rendered.

    The same recipe gives the same bytes whatever the number of processes. The folder appears whole or not at all.
    Raises InputError if `root` holds something else.
    """
    if root.exists():
        if read_recipe(root) == recipe:
            return False
        raise InputError(f"{root} holds walkers of another recipe: remove it, or choose another DATA_ROOT")
    everything = list(photos(recipe))
    batches = [everything[start : start + _BATCH] for start in range(0, len(everything), _BATCH)]
    with replacing(root, flushed=False) as building:
        done = Parallel(n_jobs=usable_jobs(jobs), return_as="generator")(
            delayed(_write_photos)(building, recipe, batch) for batch in batches
        )
        with progress("rendering", len(everything)) as rendered:
            for count in done:
                rendered.advance(count)
        _sheet(recipe).save(building / SHEET_FILE)
        (building / RECIPE_FILE).write_text(json.dumps(asdict(recipe), indent=2) + "\n", encoding="utf-8")
    return True


def _write_photos(root: Path, recipe: Recipe, batch: list[WalkerPhoto]) -> int:
    for photo in batch:
        pixels, annotation = render(*scene(recipe, photo), recipe.height, recipe.width)
        file = root / photo.path
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file, quality=92, subsampling=0)
        write_annotation(root, file, annotation)
    return len(batch)


def _sheet(recipe: Recipe) -> Image.Image:
    """A row for each of the first test people: two photos by each camera."""
    first = 1 + recipe.train_people + recipe.val_people
    rows = [
        [
            render(*scene(recipe, WalkerPhoto("test", person, camera, number)), recipe.height, recipe.width)[0]
            for camera in CAMERAS
            for number in (1, 2)
        ]
        for person in range(first, first + min(_PEOPLE_ON_SHEET, recipe.test_people))
    ]
    return contact_sheet(rows, enlarged=False)
