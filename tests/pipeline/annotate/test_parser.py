"""The parser: framing there and back, its annotator on rendered people, and its fit in miniature."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from data.annotation import MIRRORED_JOINTS, Annotation, Joint, Region, write_annotation
from data.photo import Photo
from data.runtime.errors import InputError, RunError
from data.walkers.camera import CAMERAS, draw_shot
from data.walkers.person import draw_identity, draw_outfit
from data.walkers.render import render
from pipeline.annotate.blazepose import Sighting
from pipeline.annotate.parser import BuiltInAnnotator, Parser, load_parser, save_parser
from pipeline.annotate.parser.fitting import ParserSettings, fit_parser
from pipeline.annotate.parser.fitting.fit import Examples, ParserBatch, overlaps, parsing_loss
from pipeline.annotate.parser.fitting.pictures import Pictures
from pipeline.annotate.parser.fitting.view import View, boxes
from pipeline.annotate.parser.network import HEIGHT, WIDTH, ParsingNetwork
from pipeline.person_frame import Frame


def walker(seed: int, height: int = 256) -> tuple[npt.NDArray[np.uint8], Annotation]:
    rng = np.random.default_rng((77, seed))
    shot = draw_shot(rng, tuple(CAMERAS.values())[seed % len(CAMERAS)])
    return render(draw_identity(rng), draw_outfit(rng), shot, height, height // 2)


@pytest.fixture(scope="module")
def people_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders as the fit reads them, with walkers in the place of 3-D people."""
    root = tmp_path_factory.mktemp("people")
    places = [f"pairs/pairs/{person}/view{view}_outfit1.jpg" for person in (200, 201, 202) for view in (1, 2)]
    for number, place in enumerate([*places, "mannequins/rgb/train/001/A_cropped_rgb001.jpg"]):
        pixels, annotation = walker(number)
        photo = root / place
        photo.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(photo, quality=95)
        write_annotation(root / place.split("/")[0], photo, annotation)
    return root


def pictures(count: int) -> Pictures:
    drawn = [walker(number) for number in range(count)]
    return Pictures(
        images=np.stack([pixels for pixels, _ in drawn]),
        parsings=np.stack([annotation.parsing for _, annotation in drawn]),
        joints=np.stack([annotation.joints for _, annotation in drawn]),
        often=np.full(count, 1 / count),
    )


@pytest.mark.parametrize("size", [(256, 128), (90, 200), (63, 31)])
def test_a_frame_holds_the_person_and_goes_back_where_it_was(size: tuple[int, int]) -> None:
    mask = np.zeros(size, np.float32)
    mask[size[0] // 4 : size[0] * 3 // 4, size[1] // 3 : size[1] // 2] = 1
    mask[0, 0] = 1  # A speck does not widen it.
    frame = Frame.around(mask)
    rows, columns = np.nonzero(mask[1:])
    assert frame.top <= rows.min() + 1
    assert frame.top + frame.height >= rows.max() + 2
    assert frame.left <= columns.min()
    assert frame.left + frame.height / 2 >= columns.max() + 1
    assert frame.height < 1.3 * max(np.ptp(rows), 2 * np.ptp(columns)) + 6
    mask[0, 0] = 0
    back = frame.back(frame.see(mask, HEIGHT, WIDTH), *size, outside=0.0)
    assert back.shape == size
    assert np.mean((back > 0.5) != (mask > 0.5)) < 0.01


def test_joints_follow_the_frame() -> None:
    pixels, annotation = walker(1)
    frame = Frame.around((annotation.parsing > 0).astype(np.float32))
    marked = np.zeros(pixels.shape[:2], np.float32)
    hip = annotation.joints[Joint.LEFT_HIP]
    marked[int(hip[1]) - 3 : int(hip[1]) + 4, int(hip[0]) - 3 : int(hip[0]) + 4] = 1
    y, x = np.nonzero(frame.see(marked, HEIGHT, WIDTH) > 0.5)
    at = frame.joints(annotation.joints, HEIGHT, WIDTH)[Joint.LEFT_HIP]
    np.testing.assert_allclose(at, (x.mean() + 0.5, y.mean() + 0.5), atol=1.5)
    outside = frame.joints(np.full((18, 2), -500, np.float32), HEIGHT, WIDTH)
    assert np.isnan(outside).all()


def test_a_view_sees_joints_where_it_sees_their_pixels() -> None:
    some = pictures(6)
    at = some.joints[:, Joint.NECK].astype(int)
    marked = np.zeros(some.parsings.shape, np.uint8)
    for row, (x, y) in enumerate(at):
        marked[row, y - 4 : y + 5, x - 4 : x + 5] = 7
    view = View.draw(some.parsings, np.random.default_rng(5), cut=0)
    seen = view.labels(marked, HEIGHT, WIDTH).numpy()
    joints = view.joints(some.joints, (256, 128), (HEIGHT, WIDTH))[:, Joint.NECK]
    for row in range(6):
        y, x = np.nonzero(seen[row])
        np.testing.assert_allclose(joints[row], (x.mean() + 0.5, y.mean() + 0.5), atol=1.5)
    assert set(view.flipped) == {True, False}
    top, left, bottom, right = boxes(some.parsings)[0]
    assert (some.parsings[0, int(top) : int(bottom), int(left) : int(right)] > 0).sum() == (some.parsings[0] > 0).sum()


def test_the_built_in_parser_knows_what_people_wear() -> None:
    drawn = [walker(number) for number in range(24)]
    people = [Sighting(annotation.joints, (annotation.parsing > 0).astype(np.float32)) for _, annotation in drawn]
    found = Parser()([pixels for pixels, _ in drawn], people)
    shared = overlaps(np.stack(found), np.stack([annotation.parsing for _, annotation in drawn]))
    assert shared[Region.BACKGROUND] > 0.95
    # Walkers are no photos: on rendered 3-D people, which it is made for, it is far better (see its model card).
    least = {Region.UPPER_CLOTHES: 0.75, Region.TROUSERS: 0.6, Region.HAIR: 0.45}
    for region, share in least.items():
        assert shared[region] > share, (region, shared)


def test_a_mirrored_photo_is_parsed_as_the_mirror_image() -> None:
    drawn = [walker(number) for number in range(8)]
    people = [Sighting(annotation.joints, (annotation.parsing > 0).astype(np.float32)) for _, annotation in drawn]
    turned = []
    for person in people:
        joints = person.joints[MIRRORED_JOINTS]
        joints[:, 0] = 128 - joints[:, 0]
        turned.append(Sighting(joints, np.ascontiguousarray(person.mask[:, ::-1])))
    found = np.stack(Parser()([pixels for pixels, _ in drawn], people))
    other = np.stack(Parser()([np.ascontiguousarray(pixels[:, ::-1]) for pixels, _ in drawn], turned))
    assert (found == other[:, :, ::-1]).mean() > 0.999


def test_photos_of_any_size_are_annotated_or_said_to_show_nobody() -> None:
    annotator = BuiltInAnnotator()
    large, annotation = walker(3)
    wide = np.pad(large, ((0, 0), (100, 60), (0, 0)), mode="edge")
    empty = np.full((120, 90, 3), 130, np.uint8)
    photos = [Photo(Path(name), name, pixels) for name, pixels in (("a", large), ("b", wide), ("c", empty))]
    found = pickle.loads(pickle.dumps(annotator))(photos)
    assert found[2] is None
    assert found[0] is not None
    assert found[1] is not None
    assert found[0].parsing.shape == (256, 128)
    assert found[1].parsing.shape == (256, 288)
    assert overlaps(found[0].parsing, annotation.parsing)[Region.UPPER_CLOTHES] > 0.6
    assert overlaps(found[1].parsing[:, 100:228], found[0].parsing)[Region.UPPER_CLOTHES] > 0.85
    assert annotator.digest == BuiltInAnnotator().digest


def test_a_person_who_was_not_outlined_gets_no_wild_frame() -> None:
    pixels, _ = walker(2, 64)
    nobody = Sighting(np.full((18, 2), np.nan, np.float32), np.zeros((64, 32), np.float32))
    assert Parser()([pixels], [nobody])[0].shape == (64, 32)
    assert Parser()([], []) == []


def test_weights_come_back_as_they_were_written(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = ParsingNetwork().eval()
    save_parser(network, tmp_path / "parser.safetensors")
    loaded = load_parser(tmp_path / "parser.safetensors")
    seen = (torch.rand(1, 3, HEIGHT, WIDTH), torch.rand(1, 1, HEIGHT, WIDTH), torch.rand(1, 18, HEIGHT, WIDTH))
    with torch.no_grad():
        torch.testing.assert_close(loaded(*seen), network(*seen), atol=0.05, rtol=0.05)
    assert (tmp_path / "parser.safetensors").stat().st_size < 3 * 2**20


def test_unusable_weights_are_refused_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_parser(tmp_path / "missing.safetensors")
    (tmp_path / "torn").write_bytes(b"torn")
    with pytest.raises(InputError, match="not the weights of a parser"):
        load_parser(tmp_path / "torn")


def test_a_batch_is_decided_by_its_seed_and_holds_people() -> None:
    examples = Examples(pictures(5))
    first, again = (examples.draw(np.random.default_rng(4), 8) for _ in range(2))
    other = examples.draw(np.random.default_rng(5), 8)
    torch.testing.assert_close(first.image, again.image)
    assert not torch.equal(first.image, other.image)
    assert first.image.shape == (8, 3, HEIGHT, WIDTH)
    assert first.mask.shape == (8, 1, HEIGHT, WIDTH)
    assert first.image.min() >= 0
    assert first.image.max() <= 1
    assert not first.pose.isnan().any()
    share = (first.labels > 0).float().mean((1, 2))
    assert share.min() > 0.02
    assert share.mean() > 0.1


def test_the_loss_falls_to_nothing_where_the_labels_are_right() -> None:
    labels = torch.randint(0, 8, (2, 32, 16), generator=torch.Generator().manual_seed(0))
    right = 30 * torch.nn.functional.one_hot(labels, 8).permute(0, 3, 1, 2).float()
    assert parsing_loss(right, labels) < 0.01
    assert parsing_loss(-right, labels) > 5


class Stopping(Examples):
    """Interrupts the fit at the second batch after a checkpoint of two steps."""

    left = 3

    def draw(self, rng: np.random.Generator, count: int) -> ParserBatch:
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        return super().draw(rng, count)


def test_a_fit_that_was_stopped_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    settings = ParserSettings(steps=4, batch=2)
    some = pictures(3)
    whole = fit_parser(lambda: Examples(some), settings, tmp_path / "whole", every=2)
    with pytest.raises(KeyboardInterrupt):
        fit_parser(lambda: Stopping(some), settings, tmp_path / "halves", every=2)
    halves = fit_parser(lambda: Examples(some), settings, tmp_path / "halves", every=2)
    assert halves.read_bytes() == whole.read_bytes()
    with pytest.raises(RunError, match="other settings"):
        fit_parser(lambda: Examples(some), ParserSettings(steps=5, batch=2), tmp_path / "halves")


@pytest.mark.slow
def test_folders_of_people_are_read(people_root: Path) -> None:
    gathered = Pictures.gather(people_root, held_out=1, jobs=2)
    assert len(gathered.images) == 4 + 1 + 880
    assert gathered.often.sum() == pytest.approx(1)
    with pytest.raises(InputError, match="pairs/ and mannequins/"):
        Pictures.gather(people_root / "pairs", held_out=1, jobs=1)
