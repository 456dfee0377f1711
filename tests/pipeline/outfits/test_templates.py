from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.annotation import Annotation, Joint, read_annotation, write_annotation
from data.readers import layout
from data.runtime.errors import InputError
from pipeline.annotate.annotator import StoredAnnotations
from pipeline.framing import Canvas
from pipeline.outfits import templates
from pipeline.outfits.choice import TemplateChoice, choose, farthest, upright_and_clothed
from pipeline.outfits.shape import Shape, measure_shape
from pipeline.outfits.templates import Templates, deal
from pipeline.pise import load_generator

SIZE = (64, 32)


def chosen(root: Path, weights: Path, choice: TemplateChoice) -> Templates:
    photos = layout.images(root / "rgb/train")
    return choose(choice, photos, root, StoredAnnotations(root), load_generator(weights), Canvas(*SIZE), SIZE)


def test_templates_are_chosen_from_the_photos_and_survive_the_disk(
    rendered: Path, random_weights: Path, tmp_path: Path
) -> None:
    first, again = (chosen(rendered, random_weights, TemplateChoice(4)) for _ in range(2))
    assert first.photos == again.photos
    assert len(set(first.photos)) == 4
    assert all(Path(photo).is_file() for photo in first.photos)
    assert first.pictures.shape == (4, *SIZE, 3)
    assert first.codes.shape == (4, 9, 16)
    templates.save(tmp_path, first)
    loaded = templates.load(tmp_path)
    assert loaded.photos == first.photos
    np.testing.assert_array_equal(loaded.codes, first.codes)
    np.testing.assert_array_equal(loaded.present, first.present)
    assert loaded.shapes == first.shapes
    assert first.shapes[0] == measure_shape(read_annotation(rendered, Path(first.photos[0])).resize(*SIZE))
    with Image.open(tmp_path / templates.SHEET) as sheet:
        assert sheet.width > 4 * SIZE[1]
    (tmp_path / templates.FILE).write_bytes(b"PK torn")
    with pytest.raises(InputError, match="damaged"):
        templates.load(tmp_path)


def test_outfits_that_differ_are_preferred() -> None:
    random = np.random.default_rng(0)
    centres = np.eye(4, 8, dtype=np.float32) * 10
    points = np.repeat(centres, 20, 0) + random.normal(0, 0.1, (80, 8)).astype(np.float32)
    points = np.concatenate([points, [[100.0] * 8]]).astype(np.float32)
    picked = farthest(points, 4)
    assert sorted(index // 20 for index in picked) == [0, 1, 2, 3], "one of each cluster, and not the lone outlier"
    assert sorted(farthest(points[:3], 3)) == [0, 1, 2]
    assert len(set(farthest(np.zeros((10, 8), np.float32), 4))) == 4


def test_a_folder_of_templates(rendered: Path, random_weights: Path, tmp_path: Path) -> None:
    source = layout.images(rendered / "rgb/train")
    for number, photo in enumerate((source[0], source[-1])):
        target = tmp_path / f"{number}.jpg"
        target.write_bytes(photo.read_bytes())
        write_annotation(tmp_path, target, read_annotation(rendered, photo))
    taken = chosen(rendered, random_weights, TemplateChoice(2, tmp_path))
    assert [Path(photo).name for photo in taken.photos] == ["0.jpg", "1.jpg"]
    assert len(TemplateChoice(2, tmp_path).photos) == 2, "the pictures of the annotations are no templates"
    before = TemplateChoice(2, tmp_path).recipe
    (tmp_path / "1.jpg").write_bytes(source[1].read_bytes())
    assert TemplateChoice(2, tmp_path).recipe != before
    with pytest.raises(InputError, match="2 pictures, but 3 templates"):
        TemplateChoice(3, tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        TemplateChoice(2, tmp_path / "absent")
    (tmp_path / "1.jpg").write_bytes(b"no picture")
    with pytest.raises(InputError, match="only 1 of 2 pictures"):
        chosen(rendered, random_weights, TemplateChoice(2, tmp_path))


def test_only_people_who_stand_and_are_dressed_are_preferred(rendered: Path) -> None:
    annotation = read_annotation(rendered, layout.images(rendered / "rgb/train")[0])
    assert upright_and_clothed(annotation)
    lying = Annotation(annotation.joints[:, ::-1].copy(), annotation.parsing)
    assert not upright_and_clothed(lying)
    headless = annotation.joints.copy()
    headless[Joint.NECK] = np.nan
    assert not upright_and_clothed(Annotation(headless, annotation.parsing))
    assert not upright_and_clothed(Annotation(annotation.joints, np.zeros_like(annotation.parsing)))


def test_each_photo_draws_its_own_from_a_bank() -> None:
    np.testing.assert_array_equal(deal(4, 4, 0, "any"), [0, 1, 2, 3])
    hands = np.stack([deal(20, 4, 0, f"photo {number}") for number in range(300)])
    assert all(len(set(hand)) == 4 for hand in hands)
    assert np.bincount(hands.ravel(), minlength=20).min() > 30
    np.testing.assert_array_equal(hands[7], deal(20, 4, 0, "photo 7"))
    assert (hands != np.stack([deal(20, 4, 1, f"photo {number}") for number in range(300)])).any()


def test_shoes_do_not_count_as_trousers() -> None:
    shapes = (Shape(lower="trousers", leg=2.0), Shape(lower="skirt", leg=1.0), Shape())
    pictures = np.zeros((3, 4, 2, 3), np.uint8)
    given = Templates(("a", "b", "c"), pictures, np.zeros((3, 9, 4), np.float32), np.ones((3, 8), np.float32), shapes)
    worn = given.without_shoes()
    assert worn[:, 5].tolist() == [1, 0, 0]
    assert (np.delete(worn, 5, axis=1) == 1).all()
    assert (given.present == 1).all()
