"""Fitting a generator to photos: what is drawn from them, what they are held against, and the command."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from click.testing import CliRunner, Result
from PIL import Image

import data
from data.annotation import CLOTHING_REGIONS, FOLDER, Joint, pose_maps
from data.runtime.errors import InputError
from data.shards import SyncStore, newest_store
from pipeline.__main__ import main
from pipeline.annotate.annotator import StoredAnnotations
from pipeline.pise import Generator, load_generator
from pipeline.pise.fitting import fit
from pipeline.pise.fitting.batch import Batch
from pipeline.pise.fitting.objectives import Exact, Shuffled
from pipeline.pise.fitting.perceptual import load_perceptual
from pipeline.pise.fitting.photos import Photos, View, paste_clothes, read_photos, tint_clothes
from pipeline.pise.fitting.settings import PhotoSettings, PiseSettings, adjust
from pipeline.pise.fitting.training import METRICS, draw_batch

CPU = torch.device("cpu")
TINY = ("--steps", "2", "--channels", "2", "--batch", "2", "--size", "64x32", "--scenes", "12", "--device", "cpu")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def photos(rendered: Path) -> Photos:
    records = data.open_benchmark("prcc", rendered).train
    return read_photos(records, rendered, StoredAnnotations(rendered), (64, 32), most=100, same_clothes=True)


@pytest.fixture(scope="module")
def vgg_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of vgg19's convolutions, as torchvision's own file names them."""
    torch.manual_seed(0)
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in torchvision.models.vgg19().state_dict().items()}
    state = {name: 0.02 * torch.randn(shape) for name, shape in shapes.items() if name.startswith("features")}
    path = tmp_path_factory.mktemp("vgg") / "vgg19.pth"
    torch.save(state, path)
    return path


def clothes_of(parsing: torch.Tensor) -> torch.Tensor:
    return parsing[:, CLOTHING_REGIONS].amax(1, keepdim=True).bool().expand(-1, 3, -1, -1)


def test_a_flip_exchanges_left_and_right(photos: Photos) -> None:
    flip = View(np.array([[-1, 1]], np.float32), np.zeros((1, 2), np.float32))
    images, parsings = torch.rand(1, 3, 64, 32), torch.from_numpy(photos.parsings[:1])
    torch.testing.assert_close(flip.image(images), images.flip(3))
    assert torch.equal(flip.regions(parsings).argmax(1), parsings.flip(2).long())
    flipped = flip.joints(photos.joints[:1], 64, 32)
    left, right = Joint.LEFT_KNEE, Joint.RIGHT_KNEE
    np.testing.assert_allclose(flipped[0, left], [32, 0] + photos.joints[0, right] * [-1, 1], rtol=1e-5)
    np.testing.assert_allclose(flip.joints(flipped, 64, 32), photos.joints[:1], rtol=1e-4)


def test_image_parsing_and_joints_are_seen_in_one_view() -> None:
    rng = np.random.default_rng(0)
    view = View.draw(rng, 20)
    joints = np.full((20, 18, 2), np.nan, np.float32)
    joints[:, 0] = rng.uniform([12, 24], [20, 40], (20, 2))
    dots = torch.from_numpy(pose_maps(joints, 64, 32))[:, :1]
    seen = view.image(dots)[:, 0].flatten(1).argmax(1).numpy()
    labels = view.regions((dots[:, 0] > 0.5).byte())[:, 1].bool().numpy()
    placed = view.joints(joints, 64, 32)
    np.testing.assert_allclose(np.stack([seen % 32, seen // 32], 1) + 0.5, placed[:, 0], atol=1.2)
    columns, rows = (placed[:, 0].round() - 0.5).astype(int).T
    assert labels[np.arange(20), rows, columns].all()
    assert np.isnan(placed[:, 1:]).all()


def test_the_source_is_stripped_of_its_clothes_and_of_nothing_else(photos: Photos) -> None:
    rng = np.random.default_rng(0)
    pixels = torch.from_numpy(photos.images).permute(0, 3, 1, 2).float() / 127.5 - 1
    parsings = torch.from_numpy(photos.parsings)
    clothes = clothes_of(View.whole(len(photos)).regions(parsings))
    others, other_parsings = pixels.roll(5, 0), parsings.roll(5, 0)
    for stripped in (paste_clothes(pixels, parsings, others, other_parsings), tint_clothes(pixels, parsings, rng)):
        assert torch.equal(stripped[~clothes], pixels[~clothes])
        assert (stripped - pixels)[clothes].abs().mean() > 0.1
        assert stripped.abs().max() <= 1
    lent = (parsings == other_parsings).unsqueeze(1) & clothes
    pasted = paste_clothes(pixels, parsings, others, other_parsings)
    assert torch.equal(pasted[lent], others[lent])


def test_half_of_the_sources_are_seen_as_the_target_is(photos: Photos) -> None:
    batch = photos.draw(np.random.default_rng(0), 40)
    same = (batch.source_parsing == batch.target_parsing).flatten(1).all(1)
    assert 10 < int(same.sum()) < 30
    bare = ~(clothes_of(batch.source_parsing) | clothes_of(batch.target_parsing))
    alike = bare & same.view(-1, 1, 1, 1)
    # Only at the clothes' edge do resampled pixels mix with what was stripped.
    assert (batch.source - batch.target)[alike].abs().median() == 0


def test_templates_are_other_photos_in_the_same_clothes_only_when_asked(photos: Photos) -> None:
    rng = np.random.default_rng(0)
    everyone = np.arange(len(photos))
    mates = photos._mates(everyone, rng)
    assert (photos.outfits[mates] == photos.outfits).all()
    assert (mates != everyone).all()
    strangers = replace(photos, outfits=everyone)
    assert (strangers._mates(everyone, rng) == everyone).all()


def test_batches_are_halved_in_the_coarse_steps_and_depend_on_the_step_alone(photos: Photos) -> None:
    settings = PiseSettings(batch=4, coarse_steps=1)
    assert draw_batch(photos, settings, 0, CPU).target.shape == (4, 3, 32, 16)
    first, again = draw_batch(photos, settings, 1, CPU), draw_batch(photos, settings, 1, CPU)
    assert first.target.shape == (4, 3, 64, 32)
    assert all(torch.equal(one, other) for one, other in zip(vars(first).values(), vars(again).values(), strict=True))


class Painter(Generator):
    """Paints each example as a function of the batch says, whatever the layout."""

    def __init__(self, pictures: torch.Tensor) -> None:
        super().__init__(2)
        self.pictures = pictures

    def paint(
        self,
        layout: torch.Tensor,
        target_parsing: torch.Tensor,
        codes: torch.Tensor,
        present: torch.Tensor,
        image: torch.Tensor | None = None,
    ) -> torch.Tensor:
        return self.pictures


def test_a_painting_in_other_clothes_is_judged_by_its_codes_and_by_the_rest(photos: Photos) -> None:
    drawn = photos.samples(np.random.default_rng(0), 4)
    one_shape = {name: value[[0] * 4] for name, value in vars(drawn).items()}
    batch = Batch(**{**one_shape, "template": drawn.template, "template_parsing": one_shape["source_parsing"]})
    objective = Shuffled(Exact(3.0, 0.0, 0), codes_weight=1.0, content_weight=0.0, style_weight=0.0)

    def values(changed: torch.Tensor) -> dict[str, float]:
        torch.manual_seed(0)
        attempt = objective(Painter(torch.stack([batch.target, changed], 1)), batch, 0)
        assert attempt.painted.shape == (8, 3, 64, 32)
        return {name: value.item() for name, value in attempt.values.items()}

    neighbour = batch.template.roll(1, 0)
    idle, other_person = values(batch.target), values(neighbour)
    other_clothes = values(torch.where(clothes_of(batch.target_parsing), neighbour, batch.target))
    assert idle["l1"] == idle["rest_l1"] == other_clothes["rest_l1"] == 0
    assert other_person["codes"] < 1e-6 < idle["codes"]
    assert other_person["rest_l1"] > 0.01


def test_the_style_encoder_is_not_taught_by_the_codes_it_is_asked_for(photos: Photos) -> None:
    torch.manual_seed(0)
    generator = Generator(2)
    batch = photos.samples(np.random.default_rng(0), 4)
    painted = batch.target.clone().requires_grad_()
    asked = generator.style(batch.template, batch.template_parsing)
    Shuffled._codes_missed(generator, painted, batch.target_parsing, asked).backward()
    assert painted.grad is not None
    assert painted.grad.abs().sum() > 0
    assert all(parameter.grad is None and parameter.requires_grad for parameter in generator.parameters())


def test_perceptual_losses_are_those_of_torchvisions_layers(vgg_weights: Path) -> None:
    perceptual = load_perceptual(vgg_weights, CPU)
    painted, target = torch.rand(2, 2, 3, 32, 32) * 2 - 1
    content, style = perceptual(painted, target)
    assert all(loss == 0 for loss in perceptual(target, target))
    with torch.device("meta"):
        network = torchvision.models.vgg19()
    state = torch.load(vgg_weights, weights_only=True)
    network.load_state_dict(state, strict=False, assign=True)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    expected_content = expected_style = 0.0
    with torch.no_grad():
        x, y = (((picture + 1) / 2 - mean.view(3, 1, 1)) / deviation.view(3, 1, 1) for picture in (painted, target))
        block, convolution = 1, 0
        for layer in network.features[:32]:
            x, y = layer(x), layer(y)
            if isinstance(layer, torch.nn.MaxPool2d):
                block, convolution = block + 1, 0
            elif isinstance(layer, torch.nn.ReLU):
                convolution += 1
                if convolution == 1:
                    expected_content += (x - y).abs().mean().item()
                if (block, convolution) in {(2, 2), (3, 4), (4, 4), (5, 2)}:
                    products = [torch.einsum("bchw,bdhw->bcd", part, part) / part[0].numel() for part in (x, y)]
                    expected_style += (products[0] - products[1]).abs().mean().item()
    assert content.item() == pytest.approx(expected_content, rel=0.03)
    assert style.item() == pytest.approx(expected_style, rel=0.05)


def test_vgg_weights_of_another_shape_are_told(tmp_path: Path) -> None:
    torch.save({"features.0.weight": torch.zeros(32, 3, 3, 3)}, tmp_path / "other.pth")
    with pytest.raises(InputError, match=r"features.0.weight is \(32, 3, 3, 3\), torchvision's vgg19 has \(64, 3, 3"):
        load_perceptual(tmp_path / "other.pth", CPU)
    (tmp_path / "broken.pth").write_bytes(b"no weights")
    with pytest.raises(InputError, match="not a readable state dict"):
        load_perceptual(tmp_path / "broken.pth", CPU)
    with pytest.raises(InputError, match="no such file"):
        load_perceptual(tmp_path / "absent.pth", CPU)


def command(*options: str, name: str = "pise") -> Result:
    return CliRunner().invoke(main, [name, *options])


def test_photos_become_weights_that_sync_takes(walkers: Path, vgg_weights: Path) -> None:
    fitted = command("--dataset", "prcc", "--data-root", str(walkers), *TINY, "--vgg-weights", str(vgg_weights))
    assert fitted.exit_code == 0, fitted.output
    weights = Path("work/pise/prcc/generator.safetensors")
    assert f"weights: {weights}" in fitted.output
    generator = load_generator(weights)
    assert (generator.channels, generator.size, generator.reshapes) == (2, (64, 32), False)
    with Image.open("work/pise/prcc/samples.png") as sheet:
        assert sheet.size == (4 + 2 * 3 * (32 + 4), 4 + 64 + 4)
    options = ("--dataset", "prcc", "--data-root", str(walkers), "--weights", str(weights), "--size", "64x32")
    synced = command(*options, "--versions", "2", "--device", "cpu", "--jobs", "1", name="sync")
    assert synced.exit_code == 0, synced.output
    assert len(SyncStore(newest_store(Path("work/sync")))) == 18


def test_no_label_is_looked_at(walkers: Path) -> None:
    """The same photos under a CSV that knows nothing of them give the same weights."""
    rows = [f"{record.path.relative_to(walkers)},someone" for record in data.open_benchmark("prcc", walkers).train]
    (walkers / "mine.csv").write_text("path,person\n" + "\n".join(rows) + "\n")
    for dataset in ("prcc", "csv"):
        done = command("--dataset", dataset, "--data-root", str(walkers), *TINY)
        assert done.exit_code == 0, done.output
    labelled, blind = (
        load_generator(f"work/pise/{name}/generator.safetensors").state_dict() for name in ("prcc", "csv")
    )
    assert all(torch.equal(labelled[name], blind[name]) for name in labelled)
    unlabelled = data.open_benchmark("csv", walkers).train
    with pytest.raises(InputError, match="its clothes are unknown: leave out --same-clothes"):
        read_photos(unlabelled, walkers, StoredAnnotations(walkers), (64, 32), most=100, same_clothes=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--size", "72x32"), "multiples of 32"),
        (("--batch", "30"), "only 18 of 18 training photos can be read and show a usable person, 30 are needed"),
        (("--vgg-weights", "nowhere.pth"), "nowhere.pth: no such file"),
        (("--dataset", "walkers", "--same-clothes"), "leave --data-root and the options of photos out"),
    ],
)
def test_bad_input_is_told_in_a_line(walkers: Path, options: tuple[str, ...], message: str) -> None:
    result = command("--dataset", "prcc", "--data-root", str(walkers), "--device", "cpu", "--channels", "2", *options)
    assert result.exit_code == 2
    assert message in result.output
    assert len(result.output.splitlines()) == 1


def test_photos_without_annotations_are_told(walkers: Path) -> None:
    for file in (walkers / FOLDER).rglob("*.json"):
        file.unlink()
    result = command("--dataset", "prcc", "--data-root", str(walkers), *TINY)
    assert result.exit_code == 2
    assert "none of 12 photos has an annotation that can be used; the first: " in result.output


def test_photos_that_cannot_be_read_are_left_out(walkers: Path) -> None:
    benchmark = data.open_benchmark("prcc", walkers)
    benchmark.train[0].path.write_bytes(b"")
    photos = read_photos(benchmark.train, walkers, StoredAnnotations(walkers), (64, 32), most=100)
    assert len(photos) == 17
    assert len(set(photos.outfits)) == 17


def test_walkers_are_fitted_and_measured_on_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fit, "_HELD_OUT_SCENES", 4)
    monkeypatch.setattr(fit, "_SHOWN", 4)
    result = command("--dataset", "walkers", *TINY, "--jobs", "1")
    assert result.exit_code == 0, result.output
    assert "16 pictures are nearer" in result.output
    folder = Path("work/pise/walkers")
    measured = json.loads((folder / fit.FIDELITY).read_text())
    assert measured["pictures"] == 16
    assert measured["settings"]["steps"] == 2
    assert (folder / METRICS).exists() is False
    with Image.open(folder / fit.HELD_OUT) as sheet:
        assert sheet.size == (4 + 4 * 4 * (32 + 4), 4 + 64 + 4)
    assert load_generator(folder / "generator.safetensors").reshapes


def test_walkers_are_fitted_with_the_settings_of_the_built_in_weights() -> None:
    assert adjust(PiseSettings()) == PiseSettings()
    halved = adjust(PhotoSettings(), steps=10000)
    assert (halved.coarse_steps, halved.chroma_from) == (4000, 5000)
