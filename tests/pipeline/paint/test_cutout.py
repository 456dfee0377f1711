"""People cut out of their photos: the skin that a shorter garment uncovers is the person's own."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from data.annotation import CLOTHING_REGIONS, Region, write_annotation
from data.photo import Photo
from data.walkers.camera import CAMERAS, draw_shot
from data.walkers.person import Colour, Outfit, draw_identity
from data.walkers.render import render
from pipeline.annotate.annotator import StoredAnnotations
from pipeline.cielab import to_cielab
from pipeline.compose import PEOPLE_WEIGHTS
from pipeline.framing import crop_labels
from pipeline.outfits.choice import TemplateChoice
from pipeline.paint import PisePainter
from pipeline.paint.cutout import cut_out

SIZE = (128, 64)
SKINS: dict[str, Colour] = {"dark": (75, 50, 36), "brown": (160, 110, 75), "fair": (250, 218, 190)}
WARM = Outfit(
    upper=(150, 30, 40),
    accent=(0, 0, 0),
    pattern="plain",
    stripes=3,
    sleeve="long",
    hood=False,
    lower=(40, 50, 90),
    lower_kind="trousers",
    shoe=(30, 30, 30),
    hem=0.1,
    looseness=0.03,
    leg_looseness=0.1,
)
COOL = dataclasses.replace(WARM, upper=(235, 235, 225), sleeve="none", lower=(220, 180, 60), lower_kind="shorts")


def write(root: Path, name: str, skin: Colour, outfit: Outfit, seed: int) -> Path:
    rng = np.random.default_rng(seed)
    identity = dataclasses.replace(draw_identity(rng), skin=skin, hair="short", beard="none", glasses=False)
    shot = dataclasses.replace(draw_shot(rng, CAMERAS["A"]), yaw=0.3)
    pixels, annotation = render(identity, outfit, shot, 256, 128)
    photo = root / name
    photo.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(photo)
    write_annotation(root, photo, annotation)
    return photo


@pytest.mark.parametrize("tone", SKINS)
def test_arms_and_legs_that_were_covered_are_as_the_face(tone: str, tmp_path: Path) -> None:
    root, bare = tmp_path / "photos", tmp_path / "templates"
    paths = [write(root, f"{seed}.png", SKINS[tone], WARM, seed) for seed in range(3)]
    for seed, other in enumerate(SKINS.values()):
        write(bare, f"{seed}.png", other, COOL, 10 + seed)
    painter = PisePainter(PEOPLE_WEIGHTS, root, StoredAnnotations(root), TemplateChoice(3, bare), 3, SIZE)
    painter.prepare(tmp_path, paths)
    sketch = painter.sketch([Photo.read(path, root) for path in paths])
    images = painter.paint(sketch).images
    differences = []
    for row, sitter in sketch.sitters.items():
        face = np.median(to_cielab(sketch.originals[row])[sitter.parsing == Region.FACE], 0)
        assert sitter.targets is not None
        targets = crop_labels(sitter.targets, sitter.box, SIZE)
        for image, target in zip(images[row], targets, strict=True):
            uncovered = (target == Region.SKIN) & np.isin(sitter.parsing, CLOTHING_REGIONS)
            inner = ndimage.binary_erosion(uncovered)
            assert inner.sum() > 50
            differences.append(np.linalg.norm(np.median(to_cielab(image)[inner], 0) - face))
    # The renderer's own bare arms and legs are about as far from the face: it shades them.
    assert max(differences) < 10


@pytest.mark.parametrize("tone", SKINS)
def test_paper_in_a_hand_is_no_skin(tone: str) -> None:
    parsing = np.full((64, 32), Region.UPPER_CLOTHES, np.uint8)
    parsing[:8], parsing[30:36, :6] = Region.FACE, Region.SKIN
    image = np.full((64, 32, 3), 90, np.uint8)
    image[:8], image[30:36, :6] = SKINS[tone], (60, 120, 220)
    target = parsing.copy()
    target[10:30, :6] = Region.SKIN
    painted = np.random.default_rng(0).uniform(-0.4, 0.4, (1, 64, 32, 3))
    (person,) = cut_out(painted, target[None], image, parsing)
    shown = np.median(person[target == Region.SKIN] + 1, 0) * 127.5
    np.testing.assert_allclose(shown, SKINS[tone], atol=6)
