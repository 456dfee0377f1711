"""The shape of clothes: read from parsings and given to others, held against people rendered in both outfits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from scipy import ndimage

import data
from data.annotation import Annotation, Joint, read_annotation
from data.photo import Photo
from data.runtime.errors import InputError
from data.walkers.camera import CAMERAS, draw_shot
from data.walkers.person import Outfit, draw_identity, draw_outfit
from data.walkers.render import render
from pipeline.annotate.annotator import StoredAnnotations
from pipeline.outfits import templates
from pipeline.outfits.choice import TemplateChoice
from pipeline.outfits.shape import Shape, measure_shape, reshape, reshape_each
from pipeline.paint.pise import PisePainter
from pipeline.pise import Generator, save_generator

UPPER, SKIRT, TROUSERS, SKIN, HAIR, FACE = 3, 4, 5, 6, 2, 7
SLEEVES, LOWERS = ("none", "short", "long"), ("skirt", "shorts", "trousers")


@dataclass(frozen=True)
class Change:
    """A person before and after a change of clothes, and another person in the new ones."""

    old: Outfit
    new: Outfit
    before: Annotation
    after: Annotation
    template: Annotation


Parts = dict[str, Any]


def change(seed: int, height: int = 128, old: Parts | None = None, new: Parts | None = None) -> Change:
    """People who are in no benchmark; `old` and `new` fix parts of the outfits."""
    rng = np.random.default_rng((0, 7, seed))
    first, second = (replace(draw_outfit(rng), **fixed or {}) for fixed in (old, new))
    cameras = list(CAMERAS.values())
    one, other = ((draw_identity(rng), draw_shot(rng, cameras[int(rng.integers(3))])) for _ in range(2))
    size = height, height // 2
    before, after = (render(one[0], outfit, one[1], *size)[1] for outfit in (first, second))
    return Change(first, second, before, after, render(other[0], second, other[1], *size)[1])


def standing(sleeve: str = "short", lower: str = "trousers") -> Annotation:
    """Somebody seen from the front, drawn with rectangles."""
    parsing = np.zeros((100, 60), np.uint8)
    parsing[4:10, 25:35], parsing[10:18, 26:34], parsing[18:22, 28:32] = HAIR, FACE, SKIN
    parsing[22:60, 13:17] = parsing[22:60, 43:47] = SKIN
    parsing[22 : {"none": 22, "short": 40, "long": 58}[sleeve], 13:17] = UPPER
    parsing[22 : {"none": 22, "short": 40, "long": 58}[sleeve], 43:47] = UPPER
    parsing[50:92, 21:29] = parsing[50:92, 31:39] = SKIN
    if lower == "skirt":
        parsing[50:73, 18:42] = SKIRT
    else:
        end = 73 if lower == "shorts" else 92
        parsing[50:56, 21:39] = parsing[50:end, 21:29] = parsing[50:end, 31:39] = TROUSERS
    parsing[92:96, 20:29] = parsing[92:96, 31:40] = TROUSERS
    parsing[20:52, 20:40] = UPPER
    joints = {
        "nose": (30, 14), "neck": (30, 20), "right eye": (28, 13), "left eye": (32, 13),
        "right shoulder": (15, 23), "right elbow": (15, 40), "right wrist": (15, 56),
        "left shoulder": (45, 23), "left elbow": (45, 40), "left wrist": (45, 56),
        "right hip": (25, 52), "right knee": (25, 71), "right ankle": (25, 92),
        "left hip": (35, 52), "left knee": (35, 71), "left ankle": (35, 92),
    }  # fmt: skip
    return Annotation(
        np.array([joints.get(name, (np.nan, np.nan)) for name in (joint.title for joint in Joint)], np.float32), parsing
    )


@pytest.mark.parametrize(("sleeve", "reach"), [("none", 0.0), ("short", 1.0), ("long", 2.1)])
@pytest.mark.parametrize(("lower", "kind", "leg"), [("skirt", "skirt", 1.1), ("shorts", "trousers", 1.1)])
def test_a_drawn_shape_is_read(sleeve: str, reach: float, lower: str, kind: str, leg: float) -> None:
    shape = measure_shape(standing(sleeve, lower))
    assert shape.sleeve == pytest.approx(reach, abs=0.15)
    assert shape.hem == pytest.approx(1.0, abs=0.05)
    assert shape.lower == kind
    assert shape.leg == pytest.approx(leg, abs=0.1)
    assert shape.flare == (pytest.approx(1.0, abs=0.15) if lower == "skirt" else None)


@pytest.mark.parametrize("old", SLEEVES)
@pytest.mark.parametrize("new", SLEEVES)
def test_sleeves_of_a_drawn_person_are_moved(old: str, new: str) -> None:
    person = standing(old)
    made = reshape(person, measure_shape(standing(new)))
    wanted = standing(new).parsing
    arms = np.s_[24:56, [14, 15, 44, 45]]
    assert (made[arms] == wanted[arms]).mean() > 0.9
    legs = np.s_[62:]
    np.testing.assert_array_equal(made[legs], person.parsing[legs])


@pytest.mark.parametrize("old", LOWERS)
@pytest.mark.parametrize("new", LOWERS)
def test_lower_garments_of_a_drawn_person_are_exchanged(old: str, new: str) -> None:
    person = standing(lower=old)
    made = reshape(person, measure_shape(standing(lower=new)))
    wanted = standing(lower=new).parsing
    assert (made[54:] == wanted[54:]).mean() > (0.88 if old != new else 0.999)
    np.testing.assert_array_equal(made[:48], person.parsing[:48])
    np.testing.assert_array_equal(made[93:], person.parsing[93:])  # the shoes


def test_the_shape_of_a_template_is_read_whoever_wears_it() -> None:
    measured = [(measure_shape(some.template), measure_shape(some.after), some.new) for some in map(change, range(24))]
    for template, after, outfit in measured:
        assert template.lower == after.lower == ("skirt" if outfit.lower_kind == "skirt" else "trousers")
        assert template.sleeve is not None
        assert {"none": -0.2, "short": 0.8, "long": 1.8}[outfit.sleeve] < template.sleeve
        assert template.sleeve < {"none": 0.3, "short": 1.4, "long": 2.3}[outfit.sleeve]
        assert template.leg is not None
        assert template.leg > 1.7 if outfit.lower_kind == "trousers" else 0.8 < template.leg < 1.4
    hems = [abs(template.hem - after.hem) for template, after, _ in measured if template.hem and after.hem]
    assert len(hems) >= 18
    assert np.median(hems) < 0.05


@pytest.mark.parametrize("height", [64, 128])
@pytest.mark.parametrize(
    ("old", "new", "most"),
    [
        ({"sleeve": "long"}, {"sleeve": "short"}, 0.4),
        ({"sleeve": "short"}, {"sleeve": "long"}, 0.4),
        ({"sleeve": "long"}, {"sleeve": "none"}, 0.4),
        ({"lower_kind": "trousers"}, {"lower_kind": "shorts"}, 0.45),
        ({"lower_kind": "shorts"}, {"lower_kind": "trousers"}, 0.45),
        ({"lower_kind": "trousers"}, {"lower_kind": "skirt"}, 0.35),
        ({"lower_kind": "skirt"}, {"lower_kind": "trousers"}, 0.35),
    ],
)
def test_the_new_parsing_is_near_the_true_one(height: int, old: Parts, new: Parts, most: float) -> None:
    people = [change(seed, height, old, new) for seed in range(100, 108)]
    made = [reshape(each.before, measure_shape(each.template)) for each in people]
    left = sum(int((parsing != each.after.parsing).sum()) for parsing, each in zip(made, people, strict=True))
    there = sum(int((each.before.parsing != each.after.parsing).sum()) for each in people)
    assert left < most * there
    agreed = [each.before.parsing == each.after.parsing for each in people]
    spoilt = [(parsing != each.after.parsing) & same for parsing, each, same in zip(made, people, agreed, strict=True)]
    assert np.mean(spoilt) < 0.015


@pytest.mark.parametrize("seed", range(200, 208))
def test_its_own_shape_changes_nothing(seed: int) -> None:
    person = change(seed).before
    np.testing.assert_array_equal(reshape(person, measure_shape(person)), person.parsing)


def test_what_could_not_be_seen_stays() -> None:
    person = change(0).before
    np.testing.assert_array_equal(reshape(person, Shape()), person.parsing)
    np.testing.assert_array_equal(reshape(person, Shape(lower="skirt")), person.parsing)


def test_several_shapes_at_once_are_each_by_itself() -> None:
    person = change(1).before
    shapes = [measure_shape(change(seed).template) for seed in (2, 3, 4)]
    together = reshape_each(person, shapes)
    assert together.dtype == np.uint8
    np.testing.assert_array_equal(together, np.stack([reshape(person, shape) for shape in shapes]))
    assert reshape_each(person, []).shape == (0, *person.parsing.shape)


def test_the_annotation_is_left_as_it_was() -> None:
    person = change(5).before
    kept = person.parsing.copy()
    reshape(person, Shape(sleeve=0.0, hem=0.8, lower="skirt", leg=1.0, flare=1.3))
    np.testing.assert_array_equal(person.parsing, kept)


reaches = some.one_of(some.none(), some.floats(-0.5, 2.5))
shapes = some.builds(
    Shape,
    sleeve=reaches,
    hem=some.one_of(some.none(), some.floats(0.2, 2)),
    lower=some.sampled_from([None, "skirt", "trousers"]),
    leg=reaches,
    flare=some.one_of(some.none(), some.floats(0.5, 2.5)),
)


@settings(max_examples=25, deadline=None)
@given(shapes, some.integers(300, 320), some.sets(some.sampled_from(range(18)), max_size=6))
def test_only_clothes_and_what_they_hide_change(shape: Shape, seed: int, missing: set[int]) -> None:
    person = change(seed, 64).before
    joints = person.joints.copy()
    joints[list(missing)] = np.nan
    made = reshape(Annotation(joints, person.parsing), shape)
    assert made.dtype == np.uint8
    assert made.max() < 8
    for label in (1, HAIR, FACE):
        np.testing.assert_array_equal(made == label, person.parsing == label)
    changed = np.argwhere(made != person.parsing)
    body = np.argwhere(person.parsing > 0)
    gap = np.abs(changed[:, None] - body[None]).max(-1).min(1, initial=99)
    assert gap.max(initial=0) <= 16  # a wide skirt, not the background at large


def test_a_limb_without_a_joint_is_left_alone() -> None:
    person = standing("long")
    joints = person.joints.copy()
    joints[Joint.LEFT_ELBOW] = np.nan
    made = reshape(Annotation(joints, person.parsing), Shape(sleeve=1.0))
    np.testing.assert_array_equal(made[:, 30:], person.parsing[:, 30:])
    assert (made[45:55, 14:16] == SKIN).all()


@pytest.mark.parametrize("missing", [["neck"], ["right hip", "left hip"], [joint.title for joint in Joint]])
def test_without_a_trunk_nothing_is_read_or_changed(missing: list[str]) -> None:
    person = standing()
    joints = person.joints.copy()
    joints[[joint for joint in Joint if joint.title in missing]] = np.nan
    person = Annotation(joints, person.parsing)
    assert measure_shape(person) == Shape()
    np.testing.assert_array_equal(reshape(person, Shape(2, 1, "skirt", 1, 1.2)), person.parsing)


@pytest.mark.parametrize("label", [0, SKIN, UPPER, SKIRT, TROUSERS])
def test_a_parsing_of_one_region_is_no_error(label: int) -> None:
    person = standing()
    flat: npt.NDArray[np.uint8] = np.full_like(person.parsing, label)
    assert reshape(Annotation(person.joints, flat), Shape(1, 1, "skirt", 1, 1.2)).shape == flat.shape


def test_joints_outside_the_photo_are_no_error() -> None:
    person = standing()
    moved = Annotation(person.joints + np.float32(80), person.parsing)
    assert reshape(moved, Shape(1, 1, "skirt", 1, 1.2)).shape == person.parsing.shape


def test_a_shape_that_means_nothing_is_refused() -> None:
    unknown: Any = "kilt"
    with pytest.raises(ValueError, match="not skirt or trousers"):
        Shape(lower=unknown)
    with pytest.raises(ValueError, match="no finite number"):
        Shape(sleeve=float("nan"))


def painter(weights: Path, root: Path, **options: Any) -> PisePainter:
    return PisePainter(weights, root, StoredAnnotations(root), TemplateChoice(4), size=(64, 32), **options)


@pytest.mark.parametrize("keep", [False, True])
def test_a_painter_paints_into_the_shapes_of_its_templates(
    rendered: Path, random_weights: Path, tmp_path: Path, keep: bool
) -> None:
    paths = [record.path for record in data.open_benchmark("walkers", rendered).train][:6]
    photos = [Photo.read(path, rendered) for path in paths]
    own, reshaping = (painter(random_weights, rendered, cut=cut, keep=keep) for cut in ("photo", "template"))
    for each in (own, reshaping):
        each.prepare(tmp_path, paths)
    before, after = (each.paint(each.sketch(photos)) for each in (own, reshaping))
    shapes = templates.load(tmp_path).shapes
    assert len({(shape.lower, shape.sleeve) for shape in shapes}) > 1
    moved = 0
    for row, path in enumerate(paths):
        annotation = read_annotation(rendered, path).resize(64, 32)
        for version, parsing in enumerate(reshape_each(annotation, shapes)):
            same = (before.images[row, version] == after.images[row, version]).all()
            assert same == (parsing == annotation.parsing).all()
            clothes = np.isin(parsing, (UPPER, SKIRT, TROUSERS)) | np.isin(annotation.parsing, (UPPER, SKIRT, TROUSERS))
            assert (after.clothing[row] >= clothes).all()
            if keep:
                # Two pixels in every direction, diagonals too: so far the old clothes may tinge what is beside them.
                far = ~ndimage.binary_dilation(clothes, np.ones((3, 3)), iterations=2)
                np.testing.assert_array_equal(after.images[row, version][far], photos[row].pixels[far])
            moved += not same
    assert moved > 6
    assert (after.clothing >= before.clothing).all()


def test_the_weights_say_whose_shape_is_painted(rendered: Path, random_weights: Path, tmp_path: Path) -> None:
    assert painter(random_weights, rendered).cut == "photo"
    save_generator(Generator(4, reshapes=True), tmp_path / "recuts.safetensors")
    assert painter(tmp_path / "recuts.safetensors", rendered).cut == "template"
    assert painter(tmp_path / "recuts.safetensors", rendered, cut="photo").cut == "photo"
    with pytest.raises(InputError, match="cut 'tailor' is unknown: choose photo or template"):
        painter(random_weights, rendered, cut="tailor")


def test_only_garments_that_are_exchanged_are_reshaped() -> None:
    shape = Shape(1, 1, "skirt", 1, 1.2)
    assert shape.only((3, 4, 5)) == shape
    assert shape.only((3,)) == Shape(1, 1)
    assert shape.only((4, 5)) == Shape(lower="skirt", leg=1, flare=1.2)
    assert shape.only((5, 6)) == Shape()
