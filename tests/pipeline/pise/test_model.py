"""The generator: parity with the published networks, its properties, training and its checkpoints."""

from __future__ import annotations

import json
import os
import subprocess
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from data.runtime.errors import InputError
from pipeline.pise import KINDS, Generator, load_generator, save_generator

VECTORS = Path(__file__).parent / "pise_parity"


def published_state(kind: str) -> dict[str, torch.Tensor]:
    """Every tensor of the published checkpoint of this kind, with weights drawn from the CRC of the key."""
    spectral = np.load(VECTORS / f"{kind.replace('-', '_')}_spectral.npz")
    shapes = json.loads((VECTORS / f"{kind.replace('-', '_')}_keys.json").read_text())
    state = {}
    for key, shape in shapes.items():
        source = key.replace(".conv1.", ".model.3.") if "out.conv1." in key else key
        rng = np.random.default_rng(zlib.crc32(source.encode()))
        if key.endswith(("weight_u", "weight_v")):
            value = spectral[key]
        elif key.endswith("num_batches_tracked"):
            value = np.ones(shape, np.int64)
        elif key.endswith("running_var"):
            value = rng.uniform(0.5, 1.5, shape)
        elif len(shape) >= 2:
            value = rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))
        elif source.endswith("weight"):
            value = rng.uniform(0.8, 1.2, shape)
        else:
            value = rng.standard_normal(shape) * 0.05
        dtype = np.int64 if key.endswith("num_batches_tracked") else np.float32
        state[key] = torch.from_numpy(np.asarray(value, dtype))
    return state


@pytest.fixture(scope="session")
def published_checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """A file for each of the two published kinds; hundreds of megabytes, so not left to pytest to keep."""
    folder = tmp_path_factory.mktemp("pise")
    paths = {kind: folder / f"{kind}.pth" for kind in ("pose-transfer", "texture-transfer")}
    for kind, path in paths.items():
        torch.save(published_state(kind), path)
    yield paths
    for path in paths.values():
        path.unlink()


def one_hot(labels: torch.Tensor) -> torch.Tensor:
    return functional.one_hot(labels.long(), 8).permute(0, 3, 1, 2).float()


def case(kind: str) -> dict[str, torch.Tensor]:
    stored = np.load(VECTORS / f"{kind.replace('-', '_')}_case.npz")
    tensors = {name: torch.from_numpy(stored[name]) for name in stored}
    return {
        name: one_hot(value) if name.startswith("par") and value.dim() == 3 else value
        for name, value in tensors.items()
    }


def scene(batch: int = 2, height: int = 64, width: int = 32, seed: int = 0) -> dict[str, torch.Tensor]:
    """Blocky label maps, so that regions have an inside; random pictures and poses."""
    random = torch.Generator().manual_seed(seed)
    labels = torch.randint(8, (batch, height // 8, width // 8), generator=random)
    return {
        "image": torch.rand(batch, 3, height, width, generator=random) * 2 - 1,
        "pose": torch.rand(batch, 18, height, width, generator=random),
        "parsing": one_hot(labels.repeat_interleave(8, 1).repeat_interleave(8, 2)),
    }


@pytest.fixture
def small() -> Iterator[Generator]:
    torch.manual_seed(0)
    with torch.no_grad():
        yield Generator(channels=4).eval()


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_style_codes_meet_the_published_ones(kind: str, published_checkpoints: dict[str, Path]) -> None:
    vectors = case(kind)
    codes, present = load_generator(published_checkpoints[kind]).style(vectors["img1"], vectors["par1"])
    torch.testing.assert_close(codes, vectors["codes"], atol=1e-5, rtol=0)
    torch.testing.assert_close(present, vectors["exist"], atol=0, rtol=0)


@torch.no_grad()
def test_texture_transfer_paints_the_published_picture(published_checkpoints: dict[str, Path]) -> None:
    vectors = case("texture-transfer")
    generator = load_generator(published_checkpoints["texture-transfer"])
    assert (generator.channels, generator.kind, generator.training) == (64, "texture-transfer", False)
    codes, present = generator.style(vectors["img1"], vectors["par1"])
    template_codes, _ = generator.style(vectors["img3"], vectors["par3"])
    codes[:, 3:6] = template_codes[:, 3:6]
    layout = generator.layout(vectors["img1"], vectors["pose2"], vectors["par1"], vectors["par2"])
    picture = generator.paint(layout, vectors["par2"], codes, present)
    torch.testing.assert_close(picture, vectors["output"], atol=1e-4, rtol=0)


@torch.no_grad()
def test_pose_transfer_paints_the_published_picture(published_checkpoints: dict[str, Path]) -> None:
    vectors = case("pose-transfer")
    generator = load_generator(published_checkpoints["pose-transfer"])
    soft = generator.parsing_network(vectors["par1"], vectors["pose1"], vectors["pose2"])
    torch.testing.assert_close(soft, vectors["parsing_out"], atol=1e-4, rtol=0)
    picture = generator.transfer(vectors["img1"], vectors["par1"], vectors["pose1"], vectors["pose2"])
    torch.testing.assert_close(picture, vectors["output"], atol=1e-4, rtol=0)


def test_codes_are_the_means_of_the_regions(small: Generator) -> None:
    given = scene()
    style_map = small.style_encoder
    codes, present = small.style(given["image"], given["parsing"])
    features = given["image"]
    for part in (style_map.block0, style_map.block1, style_map.block2, style_map.block3, style_map.block4):
        features = part(features)
    features = style_map.get_code(style_map.block5(features))
    for photo in range(2):
        for region in range(8):
            inside = given["parsing"][photo, region, ::4, ::4] == 1
            assert present[photo, region] == inside.any()
            wanted = features[photo][:, inside].mean(1) if inside.any() else torch.zeros(16)
            torch.testing.assert_close(codes[photo, region], wanted, atol=1e-5, rtol=0)
    torch.testing.assert_close(codes[:, 8], features.mean((2, 3)), atol=1e-5, rtol=0)


def test_region_normalisation_is_two_convolutions_of_a_style_map(small: Generator) -> None:
    part = small.region_norm
    part.norm.get_buffer("running_mean").normal_()
    part.norm.get_buffer("running_var").uniform_(0.5, 2)
    layout = torch.randn(2, 16, 16, 8)
    codes, present = torch.randn(2, 3, 9, 16), torch.randint(0, 2, (2, 3, 8)).float()
    soft = torch.rand(2, 8, 64, 32).sub(0.6).relu()
    result = part(layout, soft, codes, present)
    for photo in range(2):
        for style in range(3):
            style_map = torch.zeros(16, 16, 8)
            for region in range(8):
                code = codes[photo, style, region if present[photo, style, region] else 8]
                vector = functional.relu(part.fc_weight[region] @ code + part.fc_bias[region])
                style_map[:, soft[photo, region, ::4, ::4] != 0] = vector[:, None]
            normal = part.norm(layout)[photo]
            wanted = normal * (1 + part.conv_gamma(style_map)) + part.conv_beta(style_map)
            torch.testing.assert_close(result[photo, style], wanted, atol=1e-5, rtol=1e-5)


def test_a_batch_is_its_pictures_one_by_one(small: Generator) -> None:
    given = scene(batch=3)

    def paint(rows: slice) -> torch.Tensor:
        image, pose, parsing = (given[name][rows] for name in ("image", "pose", "parsing"))
        layout = small.layout(image, pose, parsing, parsing)
        return small.paint(layout, parsing, *small.style(image, parsing))

    together = paint(slice(None))
    assert together.shape == (3, 3, 64, 32)
    assert together.abs().max() <= 1
    for row in range(3):
        torch.testing.assert_close(paint(slice(row, row + 1))[0], together[row], atol=1e-4, rtol=0)


def test_several_styles_at_once_are_the_styles_one_by_one(small: Generator) -> None:
    given = scene()
    layout = small.layout(given["image"], given["pose"], given["parsing"], given["parsing"])
    codes, present = torch.randn(2, 3, 9, 16), torch.randint(0, 2, (2, 3, 8)).float()
    together = small.paint(layout, given["parsing"], codes, present)
    assert together.shape == (2, 3, 3, 64, 32)
    for style in range(3):
        alone = small.paint(layout, given["parsing"], codes[:, style], present[:, style])
        torch.testing.assert_close(together[:, style], alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_training_reaches_every_parameter_and_batch_statistics(kind: str) -> None:
    torch.manual_seed(0)
    generator = Generator(channels=4, kind=kind).train()
    given = scene(seed=1)
    before = generator.region_norm.norm.get_buffer("running_mean").clone()
    if kind == "pose-transfer":
        picture = generator.transfer(given["image"], given["parsing"], given["pose"], given["pose"].flip(3))
    else:
        layout = generator.layout(given["image"], given["pose"], given["parsing"], given["parsing"])
        picture = generator.paint(layout, given["parsing"], *generator.style(given["image"], given["parsing"]))
    picture.square().mean().backward()
    untouched = {name for name, value in generator.named_parameters() if value.grad is None or not value.grad.any()}
    assert not untouched
    assert not torch.equal(before, generator.region_norm.norm.get_buffer("running_mean"))


def test_wrong_uses_are_refused(small: Generator) -> None:
    given = scene()
    with pytest.raises(ValueError, match="choose one of pose-transfer, texture-transfer"):
        Generator(4, "faces")
    with pytest.raises(ValueError, match="needs a pose-transfer generator"):
        small.transfer(given["image"], given["parsing"], given["pose"], given["pose"])
    poser = Generator(4, "pose-transfer")
    layout = torch.zeros(2, 16, 16, 8)
    with pytest.raises(ValueError, match="image="):
        poser.paint(layout, given["parsing"], *poser.style(given["image"], given["parsing"]))


@pytest.mark.parametrize("kind", KINDS)
def test_our_own_checkpoint_comes_back(kind: str, tmp_path: Path) -> None:
    generator = Generator(channels=4, kind=kind)
    path = tmp_path / "folder" / "small.safetensors"
    save_generator(generator, path)
    (tmp_path / "plain").touch()
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode
    again = load_generator(path)
    assert (again.channels, again.kind, again.training) == (4, kind, False)
    assert os.listdir(path.parent) == [path.name]
    for name, value in generator.state_dict().items():
        exact = value.dim() < 2
        torch.testing.assert_close(
            again.state_dict()[name], value, rtol=0 if exact else 1e-3, atol=0 if exact else 1e-6
        )
    with safetensors.safe_open(path, "pt") as file:
        assert file.metadata() == {"format": "1", "kind": kind, "width": "4", "recuts": "False"}
    stored = safetensors.torch.load_file(path)
    assert {value.dtype for value in stored.values() if value.dim() > 1} == {torch.float16}


@torch.no_grad()
def test_spectral_norm_of_training_is_folded_when_saved(tmp_path: Path) -> None:
    generator = Generator(channels=4)
    for module in generator.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            parametrizations.spectral_norm(module, dim=int(isinstance(module, nn.ConvTranspose2d)))
    generator.eval()
    save_generator(generator, tmp_path / "small.safetensors")
    given = scene()
    codes = generator.style(given["image"], given["parsing"])[0]
    folded = load_generator(tmp_path / "small.safetensors").style(given["image"], given["parsing"])[0]
    torch.testing.assert_close(folded, codes, atol=5e-3, rtol=0)
    assert codes.abs().max() > 0.05


def test_a_file_of_another_network_names_its_keys(tmp_path: Path) -> None:
    path = tmp_path / "wrong.pth"
    shapes = json.loads((VECTORS / "texture_transfer_keys.json").read_text())
    # One number in place of each tensor's many: no value is looked at before the refusal, and the files stay small.
    state = {key: torch.ones(()).expand(shape) for key, shape in shapes.items()}

    def refusal(changed: Mapping[str, object]) -> str:
        torch.save(changed, path)
        with pytest.raises(InputError) as refused:
            load_generator(path)
        assert str(path) in str(refused.value)
        return str(refused.value)

    assert "lacks efb.fc_mu3.weight" in refusal(
        {name: value for name, value in state.items() if name != "efb.fc_mu3.weight"}
    )
    assert "surplus fc.bias" in refusal(state | {"fc.bias": torch.zeros(3)})
    assert "lacks dec.block0.model.2.weight_u" in refusal(
        {name: value for name, value in state.items() if name != "dec.block0.model.2.weight_u"}
    )
    assert "res.model.2.weight has shape (256, 128, 3, 3)" in refusal(
        state | {"res.model.2.weight": torch.zeros(256, 128, 3, 3)}
    )
    assert "u and v have 7" in refusal(state | {"dec.block0.model.2.weight_u": torch.zeros(7)})
    assert "Zencoder.get_code.0.bias" in refusal({"conv1.weight": torch.zeros(64, 3, 7, 7)})
    assert "plain state dict" in refusal({"epoch": 3})


def test_damaged_and_foreign_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    save_generator(Generator(channels=4), path)
    whole = path.read_bytes()
    for content in (whole[:-9], b"", b"not weights", whole[:8]):
        path.write_bytes(content)
        with pytest.raises(InputError, match="not a readable checkpoint"):
            load_generator(path)
    with pytest.raises(InputError, match="no such file"):
        load_generator(tmp_path / "absent.pth")

    tensors = {"res.model.2.weight": torch.zeros(1)}
    for metadata, complaint in (
        ({"format": "9", "kind": "texture-transfer"}, "format 9"),
        # What other libraries write: a state dict as published, but as safetensors.
        ({"format": "pt"}, r"lacks Zencoder\.get_code"),
        ({"format": "1", "kind": "faces", "width": "4"}, "kind 'faces'"),
        ({"format": "1", "kind": "texture-transfer", "width": "x"}, "width 'x'"),
        ({"format": "1", "kind": "texture-transfer", "width": "4"}, r"lacks .* and \d+ more"),
    ):
        safetensors.torch.save_file(tensors, path, metadata)
        with pytest.raises(InputError, match=complaint):
            load_generator(path)


def test_no_code_of_a_file_is_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return subprocess.getoutput, (f"touch {tmp_path}/sprung",)

    path = tmp_path / "trap.pth"
    torch.save({"Zencoder.get_code.0.bias": Trap()}, path)
    with pytest.raises(InputError, match="not a readable checkpoint"):
        load_generator(path)
    assert not (tmp_path / "sprung").exists()


def test_what_a_generator_was_fitted_to_comes_back(tmp_path: Path) -> None:
    save_generator(Generator(4, size=(128, 64), reshapes=True), tmp_path / "fitted.safetensors")
    again = load_generator(tmp_path / "fitted.safetensors")
    assert (again.size, again.reshapes) == ((128, 64), True)
