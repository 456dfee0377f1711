from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.annotation import Annotation, Joint, Region, read_annotation, write_annotation
from data.readers import layout
from data.runtime.errors import InputError
from data.walkers.camera import CAMERAS, draw_shot
from data.walkers.person import Colour, draw_identity, draw_outfit
from data.walkers.render import render
from pipeline.annotate.annotator import StoredAnnotations
from pipeline.framing import Canvas
from pipeline.outfits import templates
from pipeline.outfits.choice import TemplateChoice, choose, farthest
from pipeline.outfits.shape import Shape, measure_shape
from pipeline.outfits.suitability import against, joints_in_sight, upright_and_clothed
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


def people_in(root: Path, colours: list[Colour]) -> None:
    """Render people in clothes of these colours, who differ little otherwise, with their annotations."""
    rng = np.random.default_rng(3)
    plain = dataclasses.replace(draw_outfit(rng), pattern="plain", sleeve="long", lower_kind="trousers")
    for number, colour in enumerate(colours):
        outfit = dataclasses.replace(plain, upper=colour, lower=(30.0, 30.0, 34.0))
        pixels, annotation = render(draw_identity(rng), outfit, draw_shot(rng, CAMERAS["A"]), 128, 64)
        photo = root / "rgb" / "train" / "000" / f"{number:02d}.png"
        photo.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(photo)
        write_annotation(root, photo, annotation)


def test_as_seen_rare_colours_are_among_the_templates(tmp_path: Path, random_weights: Path) -> None:
    dark, red, blue = (24.0, 24.0, 28.0), (180.0, 30.0, 35.0), (40.0, 70.0, 190.0)
    people_in(tmp_path, [dark] * 12 + [red] * 2 + [blue] * 2 + [(34.0, 30.0, 30.0)] * 4)
    taken = chosen(tmp_path, random_weights, TemplateChoice(4, as_seen=True))
    numbers = [int(Path(photo).stem) for photo in taken.photos]
    assert {12, 13} & set(numbers), "a red one"
    assert {14, 15} & set(numbers), "a blue one"
    assert "the most usual of" in taken.reasons[0]
    assert all("from the nearest above (CIELAB)" in reason for reason in taken.reasons[1:])
    templates.save(tmp_path, taken)
    assert templates.load(tmp_path).reasons == taken.reasons
    assert TemplateChoice(4, as_seen=True).recipe != TemplateChoice(4).recipe


def test_whatever_speaks_against_a_template_is_said(rendered: Path) -> None:
    annotation = read_annotation(rendered, layout.images(rendered / "rgb/train")[0])
    joints, parsing = annotation.joints, annotation.parsing
    assert against(annotation) == ()
    assert joints_in_sight(annotation) == 13

    def without(*missing: Joint) -> Annotation:
        fewer = joints.copy()
        fewer[list(missing)] = np.nan
        return Annotation(fewer, parsing)

    arms = (Joint.LEFT_ELBOW, Joint.LEFT_WRIST, Joint.RIGHT_WRIST)
    assert against(without(*arms)) == ("few joints in sight",)
    assert against(without(Joint.LEFT_ANKLE)) == ()
    assert against(without(Joint.LEFT_ANKLE, Joint.RIGHT_ANKLE)) == ("head or feet not in the picture",)
    headless = np.where(np.isin(parsing, (Region.HAT, Region.HAIR, Region.FACE)), Region.BACKGROUND, parsing)
    assert "head or feet not in the picture" in against(Annotation(joints, headless.astype(np.uint8)))
    assert "not upright" in against(Annotation(joints[:, ::-1].copy(), parsing))
    aside = np.concatenate([parsing, np.zeros_like(parsing), parsing], 1)
    assert against(Annotation(joints, aside)) == ("in pieces, or with somebody else",)
    assert "pose and parsing disagree" in against(Annotation(joints, parsing[::-1].copy()))
    assert "hardly dressed" in against(Annotation(joints, np.where(parsing == 3, 0, parsing).astype(np.uint8)))
