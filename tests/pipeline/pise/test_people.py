"""Generators of people before a backdrop: their examples, their objective, their fit, and painting with them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import data
from data.annotation import Annotation, Region, write_annotation
from data.photo import Photo, name_below, read_photo
from data.runtime.errors import InputError
from data.walkers.camera import CAMERAS, draw_shot
from data.walkers.person import draw_identity, draw_outfit
from data.walkers.render import render
from pipeline.annotate.annotator import StoredAnnotations
from pipeline.annotate.parser.fitting.pictures import people_of
from pipeline.framing import PERSON, Canvas, crop, crop_labels, exposure
from pipeline.outfits.choice import TemplateChoice
from pipeline.paint.cutout import cut_out
from pipeline.paint.pise import PisePainter
from pipeline.pise import Generator, load_generator, save_generator
from pipeline.pise.fitting import fit
from pipeline.pise.fitting.objectives import CutOut
from pipeline.pise.fitting.people import People, read_people
from pipeline.pise.fitting.settings import PeopleSettings, adjust

SIZE = (64, 32)


class Painted(Generator):
    """Paints what it was given."""

    def __init__(self, picture: torch.Tensor) -> None:
        super().__init__(4, backdrop=True)
        self.picture = picture

    def paint(
        self,
        layout: torch.Tensor,
        target_parsing: torch.Tensor,
        codes: torch.Tensor,
        present: torch.Tensor,
        image: torch.Tensor | None = None,
    ) -> torch.Tensor:
        return self.picture


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three people in four views and three outfits, as 3-D people are stored; here they are walkers."""
    root = tmp_path_factory.mktemp("people") / "pairs"
    for person in range(3):
        rng = np.random.default_rng((3, person))
        identity, outfits = draw_identity(rng), [draw_outfit(rng) for _ in range(3)]
        for view in range(4):
            shot = draw_shot(rng, tuple(CAMERAS.values())[view % len(CAMERAS)])
            for number, outfit in enumerate(outfits):
                pixels, annotation = render(identity, outfit, shot, 256, 128)
                photo = root / "pairs" / f"{person}" / f"view{view + 1}_outfit{number + 1}.jpg"
                photo.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(photo, quality=95)
                write_annotation(root, photo, annotation)
    return root


@pytest.fixture(scope="module")
def people(pairs: Path) -> People:
    return read_people(people_of(pairs), pairs, SIZE)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generator of people that was never fitted."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "people.safetensors"
    save_generator(Generator(4, size=SIZE, reshapes=True, backdrop=True), path)
    return path


def test_a_batch_is_decided_by_its_seed_and_only_the_clothes_change(people: People) -> None:
    first, again = (people.draw(np.random.default_rng(1), 6) for _ in range(2))
    for part, same in zip(vars(first).values(), vars(again).values(), strict=True):
        torch.testing.assert_close(part, same)
    assert first.source.shape == (6, 3, *SIZE)
    assert first.pose.shape == (6, 18, *SIZE)
    bare = first.source_parsing[:, Region.FACE] * first.target_parsing[:, Region.FACE]
    worn = first.target_parsing[:, Region.UPPER_CLOTHES]
    difference = (first.source - first.target).abs().mean(1)
    assert (difference * bare).sum() / bare.sum() < 0.5 * (difference * worn).sum() / worn.sum()


def test_everybody_changes_out_of_everything_once(people: People) -> None:
    batches = list(people.changes(at_once=30))
    assert sum(len(batch.source) for batch in batches) == 3 * 4 * 6
    assert not any(torch.equal(batch.source, batch.target) for batch in batches)


def test_the_backdrop_hides_what_was_behind(people: People) -> None:
    batch = people.samples(np.random.default_rng(0), 2)
    generator = Generator(4, backdrop=True).eval()
    elsewhere = torch.where(batch.source_parsing[:, :1] > 0, torch.rand_like(batch.source), batch.source)
    with torch.no_grad():
        for seen, other in zip(
            generator.style(batch.source, batch.source_parsing),
            generator.style(elsewhere, batch.source_parsing),
            strict=True,
        ):
            torch.testing.assert_close(seen, other)


def test_a_checkerboard_is_held_against_a_painting(people: People) -> None:
    batch = people.samples(np.random.default_rng(0), 2)
    objective = CutOut(4.0, 3.0, 1.0, 0, 0.5)
    smooth = batch.target
    checked = smooth + 0.2 * (torch.arange(SIZE[1]) % 2)

    def grid(painted: torch.Tensor) -> float:
        attempt = objective(Painted(painted), batch, step=0)
        return float(attempt.values["grid"])

    assert grid(smooth) < 1e-6
    assert grid(checked) > 0.05


def test_a_fit_writes_weights_that_know_of_their_backdrop(pairs: Path, tmp_path: Path) -> None:
    start = tmp_path / "walkers.safetensors"
    save_generator(Generator(4, size=SIZE, reshapes=True), start)
    settings = adjust(PeopleSettings(held_out=1, discriminator_channels=2), steps=4, channels=4, batch=2, size=SIZE)
    written, fidelity = fit.fit_people(pairs, settings, tmp_path / "fit", torch.device("cpu"), start)
    generator = load_generator(written)
    assert generator.backdrop
    assert generator.reshapes
    assert generator.size == SIZE
    assert fidelity.pictures == 4 * 6
    assert (tmp_path / "fit" / "held-out.png").is_file()
    with pytest.raises(InputError, match="too few"):
        fit.fit_people(pairs, PeopleSettings(held_out=3), tmp_path / "none", torch.device("cpu"), start)
    with pytest.raises(InputError, match="no folders of people"):
        people_of(tmp_path)


@pytest.mark.parametrize("size", [(256, 128), (300, 500), (60, 90)])
def test_the_canvas_frames_the_person_and_the_painting_goes_back_to_its_place(size: tuple[int, int]) -> None:
    parsing = np.zeros(size, np.uint8)
    parsing[size[0] // 4 : size[0] // 4 + 30, size[1] // 2 : size[1] // 2 + 14] = Region.UPPER_CLOTHES
    image = np.where(parsing[..., None] > 0, 220, 180).astype(np.uint8).repeat(3, 2)
    joints = np.full((18, 2), np.nan, np.float32)
    joints[0] = size[1] // 2 + 7, size[0] // 4 + 15
    seen, annotation, box = Canvas(128, 64, PERSON).fit(image, Annotation(joints, parsing))
    assert seen.shape == (128, 64, 3)
    assert (annotation.parsing > 0).mean() > 0.5
    np.testing.assert_allclose(annotation.joints[0], (32, 64), atol=3)
    painted = torch.from_numpy(seen.astype(np.float32)).permute(2, 0, 1)[None]
    back = crop(painted, box, size)[0].permute(1, 2, 0).numpy()
    assert back.shape == image.shape
    assert np.abs(back / exposure(image) - image)[parsing > 0].mean() < 12
    labels = crop_labels(annotation.parsing[None], box, size)[0]
    assert ((labels > 0) != (parsing > 0)).mean() < 0.02


def test_dark_photos_are_painted_in_daylight_and_dimmed_again(rendered: Path, weights: Path, tmp_path: Path) -> None:
    paths = [record.path for record in data.open_benchmark("walkers", rendered).train][:4]
    painter = PisePainter(weights, rendered, StoredAnnotations(rendered), TemplateChoice(2), versions=2, size=SIZE)
    assert painter.keep
    assert painter.canvas.padding == PERSON
    painter.prepare(tmp_path, paths)
    photos = [Photo(path, name_below(path, rendered), read_photo(path)) for path in paths]
    dark = [replace(photo, pixels=(photo.pixels * 0.45).astype(np.uint8)) for photo in photos]
    bright, dimmed = (painter.paint(painter.sketch(some)) for some in (photos, dark))
    inner = bright.clothing
    assert (
        dimmed.images.transpose(0, 2, 3, 1, 4)[inner].mean()
        < 0.8 * bright.images.transpose(0, 2, 3, 1, 4)[inner].mean()
    )
    assert bright.images.shape == (len(paths), 2, *SIZE, 3)


@pytest.mark.parametrize("tone", [(70, 45, 35), (225, 185, 165)])
def test_uncovered_skin_is_the_persons_own(tone: tuple[int, int, int]) -> None:
    parsing = np.zeros((64, 32), np.uint8)
    parsing[8:60, 8:24] = Region.TROUSERS
    parsing[2:8, 8:24] = Region.SKIN
    image = np.full((64, 32, 3), 120, np.uint8)
    image[parsing == Region.SKIN] = tone
    target = parsing.copy()
    target[40:60, 8:24] = Region.SKIN
    orange = np.broadcast_to(np.array((0.6, 0.1, -0.4), np.float32), (1, 64, 32, 3))
    painted = (cut_out(orange, target[None], image, parsing)[0] + 1) * 127.5
    uncovered = (target == Region.SKIN) & (parsing != Region.SKIN)
    np.testing.assert_allclose(painted[uncovered].mean(0), tone, atol=8)
    np.testing.assert_allclose(painted[target == Region.TROUSERS].mean(0), (204, 140, 76), atol=2)
    hidden = np.where(parsing == Region.SKIN, Region.TROUSERS, parsing).astype(np.uint8)
    np.testing.assert_allclose(cut_out(orange, target[None], image, hidden)[0], orange[0], atol=1e-6)
