"""The ideal painter: the very photo, had the person worn something else."""

from pathlib import Path

import numpy as np
import pytest
import torch

from data import open_benchmark
from data.annotation import CLOTHING_REGIONS, read_annotation
from data.photo import Photo
from data.runtime.errors import InputError
from data.walkers.dataset import Recipe, write_walkers
from pipeline.annotate.annotator import StoredAnnotations
from pipeline.outfits import templates
from pipeline.outfits.choice import TemplateChoice
from pipeline.paint.ideal import IdealPainter
from pipeline.paint.pise import PisePainter
from pipeline.pise import Generator, save_generator

SMALL = Recipe(train_people=3, val_people=1, test_people=1, train_photos=2, test_photos=1)


@pytest.fixture(scope="module")
def painter(tmp_path_factory: pytest.TempPathFactory) -> IdealPainter:
    folder = tmp_path_factory.mktemp("ideal")
    write_walkers(folder / "walkers", SMALL, jobs=1)
    torch.manual_seed(0)
    save_generator(Generator(4, size=(64, 32)), folder / "weights.safetensors")
    root = folder / "walkers"
    choice = TemplateChoice(2)
    pise = PisePainter(folder / "weights.safetensors", root, StoredAnnotations(root), choice, 2, (128, 64))
    made = IdealPainter(pise)
    made.prepare(folder, [record.path for record in open_benchmark("walkers", root).train])
    return made


def test_the_template_redrawn_in_its_own_clothes_is_itself(painter: IdealPainter) -> None:
    assert painter.painter.folder is not None
    chosen = [Path(photo) for photo in templates.load(painter.painter.folder).photos]
    photos = [Photo.read(photo, painter.painter.root) for photo in chosen]
    redrawn = painter.paint(painter.sketch(photos))
    originals = np.stack([photo.pixels for photo in photos]).astype(int)
    change = np.abs(redrawn.images - originals[:, None]).mean(axis=(2, 3, 4))
    own, other = change.diagonal(), change[~np.eye(2, dtype=bool)]
    assert own.max() < 5, "only the JPEG differs"
    assert other.min() > 2 * own.max()


def test_clothes_change_and_the_rest_stays(painter: IdealPainter) -> None:
    root = painter.painter.root
    photos = [Photo.read(record.path, root) for record in open_benchmark("walkers", root).train]
    redrawn = painter.paint(painter.sketch(photos))
    assert redrawn.found.all()
    head = np.stack([np.isin(read_annotation(root, photo.path).parsing, [2, 7]) for photo in photos])
    change = np.abs(redrawn.images.astype(int) - np.stack([photo.pixels for photo in photos])[:, None]).mean(-1)
    assert change[np.broadcast_to(redrawn.clothing[:, None], change.shape)].mean() > 20
    assert change[np.broadcast_to(head[:, None], change.shape)].mean() < 8
    worn = np.stack([np.isin(read_annotation(root, photo.path).parsing, CLOTHING_REGIONS) for photo in photos])
    assert (worn == redrawn.clothing).mean() > 0.999


def test_its_key_is_not_the_generators(painter: IdealPainter) -> None:
    assert painter.recipe["painter"] == "ideal"
    assert {**painter.recipe, "painter": "pise"} != painter.painter.recipe


def test_photos_that_are_no_walkers_are_refused(painter: IdealPainter, tmp_path: Path) -> None:
    pise = painter.painter
    (tmp_path / "annotation").mkdir()
    stranger = PisePainter(pise.weights, tmp_path, StoredAnnotations(tmp_path), TemplateChoice(2), 2, (128, 64))
    with pytest.raises(InputError, match="holds no walkers"):
        IdealPainter(stranger)
