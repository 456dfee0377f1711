from __future__ import annotations

import urllib.error
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from data.runtime.errors import InputError
from trainer import Encoder
from trainer.config import make_config
from trainer.encoder import calibrate, describe, make_encoder
from trainer.encoder.backbones import _set_last_stride

SIZE = (32, 16)


def made(backbone: str, weights: str, last_stride: int, size: tuple[int, int]) -> tuple[Encoder, str]:
    """Make an encoder, and the line that says what it starts from."""
    given = {"backbone": backbone, "backbone_weights": weights, "last_stride": last_stride}
    config = make_config("paper", {**given, "height": size[0], "width": size[1]})
    encoder = make_encoder(config)
    return encoder, describe(config, encoder)


def test_features_are_of_unit_length_and_float32() -> None:
    encoder, line = made("small", "none", 1, SIZE)
    with torch.autocast("cpu", torch.bfloat16):
        features = encoder(torch.randn(4, 3, *SIZE))
    assert features.dtype == torch.float32
    assert features.shape == (4, encoder.dimensions) == (4, 128)
    assert torch.allclose(features.norm(dim=1), torch.ones(4), atol=1e-5)
    assert "random weights" in line


def test_a_digest_tells_encoders_apart() -> None:
    """Whatever decides a feature is in it, and nothing else: not the memory format, not the training mode."""
    encoder = made("small", "none", 1, SIZE)[0]
    digest = encoder.digest
    assert len(digest) == 12
    copy = made("small", "none", 1, SIZE)[0]
    copy.load_state_dict(encoder.state_dict())
    assert copy.train().to(memory_format=torch.contiguous_format).digest == digest
    copy.precision = "bfloat16"
    assert copy.digest != digest
    with torch.no_grad():
        encoder.neck.get_parameter("weight")[0] += 1e-3
    assert encoder.digest != digest


def test_last_stride_sets_the_last_map() -> None:
    shapes = []
    for stride in (1, 2):
        encoder, _ = made("resnet18", "none", stride, (64, 32))
        encoder.body.get_submodule("layer4").register_forward_hook(lambda _m, _i, out: shapes.append(out.shape[2:]))
        encoder.eval()(torch.zeros(1, 3, 64, 32))
    assert shapes == [(4, 2), (2, 1)]


def test_resnet50_strides_as_the_paper() -> None:
    with torch.device("meta"):
        body = torchvision.models.resnet50()
    _set_last_stride(body, 1)
    strided = [name for name, m in body.named_modules() if isinstance(m, torch.nn.Conv2d) and m.stride == (2, 2)]
    assert strided == ["conv1", "layer2.0.conv2", "layer2.0.downsample.0", "layer3.0.conv2", "layer3.0.downsample.0"]


def test_the_neck_has_no_trained_shift() -> None:
    encoder, _ = made("small", "none", 1, SIZE)
    trained = [name for name, p in encoder.named_parameters() if p.requires_grad]
    assert "neck.weight" in trained
    assert "neck.bias" not in trained


@pytest.mark.parametrize("kind", ["pth", "wrapped", "safetensors"])
def test_weights_from_a_file(tmp_path: Path, kind: str) -> None:
    theirs = torchvision.models.resnet18()
    state = theirs.state_dict()
    path = tmp_path / ("weights.safetensors" if kind == "safetensors" else "weights.pth")
    if kind == "safetensors":
        save_file(state, path)
    elif kind == "pth":
        torch.save(state, path)
    else:
        torch.save({"epoch": 3, "state_dict": {"module." + key: value for key, value in state.items()}}, path)
    encoder, line = made("resnet18", str(path), 2, SIZE)
    theirs.fc = torch.nn.Identity()
    theirs.to(memory_format=torch.channels_last)
    images = torch.randn(2, 3, *SIZE)
    assert torch.equal(encoder.body.eval()(images), theirs.eval()(images))
    assert str(path) in line


def test_keys_that_do_not_fit_are_named(tmp_path: Path) -> None:
    state = torchvision.models.resnet18().state_dict()
    path = tmp_path / "weights.pth"
    wanted = {
        "conv1.weight are missing": {k: v for k, v in state.items() if k != "conv1.weight"},
        "extra.weight are not of this": {**state, "extra.weight": torch.zeros(1)},
        "conv1.weight have another shape": {**state, "conv1.weight": torch.zeros(64, 3, 3, 3)},
    }
    for said, content in wanted.items():
        torch.save(content, path)
        with pytest.raises(InputError, match=said):
            made("resnet18", str(path), 1, SIZE)


@pytest.mark.parametrize(
    "prefix",
    ["module.", "backbone.", "base.", "encoder.", "model.", "module.model.base.", "encoder_q.", "module.encoder_q."],
)
def test_what_training_codes_wrap_around_a_backbone_is_left_out(tmp_path: Path, prefix: str) -> None:
    theirs, momentum = torchvision.models.resnet18(), torchvision.models.resnet18()
    state = {prefix + key: value for key, value in theirs.state_dict().items()}
    # A neck, a classifier, a queue, and the momentum encoder of MoCo, which comes second.
    state |= {prefix.replace("_q", "_k") + key: v for key, v in momentum.state_dict().items() if "_q" in prefix}
    state |= {"bottleneck.weight": torch.ones(512), "classifier.weight": torch.ones(9, 512)}
    state |= {"queue": torch.ones(4), f"{prefix}fc.0.weight": torch.ones(2, 2)}
    path = tmp_path / "weights.pth"
    for content in (
        state,
        {"epoch": 1, "optimizer": {"state": {0: torch.ones(1)}, "groups": [1]}, "state_dict": state},
    ):
        torch.save(content, path)
        encoder, _ = made("resnet18", str(path), 2, SIZE)
        assert torch.equal(encoder.body.get_parameter("conv1.weight"), theirs.conv1.weight)
        assert torch.equal(
            encoder.body.get_buffer("layer4.1.bn2.running_var"), theirs.get_buffer("layer4.1.bn2.running_var")
        )


@pytest.mark.parametrize(
    ("prefix", "left_out"),
    [("base.", ()), ("module.base.", ("relu",)), ("module.encoder.base.", ("avgpool", "fc")), ("", ("relu", "fc"))],
)
def test_stages_that_have_numbers_get_their_names_back(tmp_path: Path, prefix: str, left_out: tuple[str, ...]) -> None:
    theirs = torchvision.models.resnet18()
    parts = torch.nn.Sequential(*(part for name, part in theirs.named_children() if name not in left_out))
    state = {prefix + key: value for key, value in parts.state_dict().items()}
    state |= {"feat_bn.weight": torch.ones(512), "module.classifier.weight": torch.ones(9, 512)}
    numbered, named = tmp_path / "numbered.pth", tmp_path / "named.pth"
    torch.save({"state_dict": state, "epoch": 7}, numbered)
    torch.save(theirs.state_dict(), named)
    pictures = torch.randn(2, 3, *SIZE)
    with torch.no_grad():
        first, second = (made("resnet18", str(path), 2, SIZE)[0].eval()(pictures) for path in (numbered, named))
    assert torch.equal(first, second)


def test_weights_that_are_not_finite_are_the_file_s_fault(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    for value in (torch.nan, torch.inf):
        state = torchvision.models.resnet18().state_dict()
        state["fc.weight"][0] = torch.nan  # is not used
        torch.save(state, path)
        made("resnet18", str(path), 1, SIZE)
        state["layer1.0.bn1.running_mean"][3] = value
        torch.save(state, path)
        with pytest.raises(InputError, match=r"weights\.pth: layer1\.0\.bn1\.running_mean holds numbers that are not"):
            made("resnet18", str(path), 1, SIZE)


@pytest.mark.parametrize("wrap", ["", "module.base."])
def test_a_transformer_for_square_pictures_serves_upright_ones(tmp_path: Path, wrap: str) -> None:
    timm = pytest.importorskip("timm")
    name, path = "vit_tiny_patch16_224", tmp_path / "weights.pth"
    square = timm.create_model(name, img_size=64)
    torch.nn.init.normal_(square.pos_embed)
    torch.save({wrap + key: value for key, value in square.state_dict().items()}, path)
    encoder, _ = made(f"timm:{name}", str(path), 2, (64, 32))
    expected = timm.layers.resample_abs_pos_embed(square.pos_embed, (4, 2), num_prefix_tokens=1)
    assert expected.shape == (1, 1 + 4 * 2, 192)
    torch.testing.assert_close(encoder.body.get_parameter("pos_embed"), expected)
    assert torch.equal(
        encoder.body.get_parameter("blocks.11.mlp.fc2.weight"), square.get_parameter("blocks.11.mlp.fc2.weight")
    )


def test_files_that_are_no_weights_are_refused(tmp_path: Path) -> None:
    contents: list[Any] = [b"", b"not a checkpoint", b"PK\x03\x04 torn"]
    for content in contents:
        for name in ("weights.pth", "weights.safetensors"):
            (tmp_path / name).write_bytes(content)
            with pytest.raises(InputError, match=name):
                made("small", str(tmp_path / name), 1, SIZE)
    with pytest.raises(InputError, match="no such file"):
        made("small", str(tmp_path / "missing.pth"), 1, SIZE)


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "sprung",)

    torch.save({"state_dict": Trap()}, tmp_path / "weights.pth")
    with pytest.raises(InputError, match="more than tensors"):
        made("small", str(tmp_path / "weights.pth"), 1, SIZE)
    assert not (tmp_path / "sprung").exists()


def test_without_a_network_the_file_to_bring_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: Any, **_kwargs: Any) -> None:
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(
        InputError, match=r"bring https://.*resnet18-f37072fd\.pth to .*checkpoints/resnet18-f37072fd\.pth"
    ):
        made("resnet18", "imagenet", 1, SIZE)


def test_unknown_names() -> None:
    with pytest.raises(InputError, match="small, resnet18"):
        made("resnet51", "none", 1, SIZE)
    with pytest.raises(InputError, match="no ImageNet weights"):
        made("small", "imagenet", 1, SIZE)


@pytest.mark.parametrize(("name", "width"), [("timm:resnet10t", 512), ("timm:vit_tiny_patch16_224", 192)])
def test_a_timm_model_tells_its_width(name: str, width: int) -> None:
    pytest.importorskip("timm")
    encoder, _ = made(name, "none", 2, (64, 32))
    assert encoder.dimensions == width
    assert encoder.eval()(torch.zeros(2, 3, 64, 32)).shape == (2, width)


def test_the_last_stride_of_a_timm_model_is_set_or_refused() -> None:
    pytest.importorskip("timm")
    shapes = []
    for stride in (1, 2):
        encoder, _ = made("timm:resnet10t", "none", stride, (64, 32))
        encoder.body.get_submodule("layer4").register_forward_hook(lambda _m, _i, out: shapes.append(out.shape[2:]))
        encoder.eval()(torch.zeros(1, 3, 64, 32))
    assert shapes == [(4, 2), (2, 1)]
    with pytest.raises(InputError, match="give --last-stride 2"):
        made("timm:vit_tiny_patch16_224", "none", 1, (64, 32))


def test_a_timm_model_is_given_the_colours_it_knows() -> None:
    pytest.importorskip("timm")
    encoder, _ = made("timm:vit_tiny_patch16_224", "none", 2, (64, 32))
    assert (encoder.input.mean, encoder.input.std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def test_an_unknown_timm_model_names_near_ones() -> None:
    pytest.importorskip("timm")
    with pytest.raises(InputError, match="resnet50"):
        made("timm:resnet5O", "none", 1, SIZE)


def test_calibration_gives_the_mean_statistics() -> None:
    torch.manual_seed(0)
    encoder, _ = made("small", "none", 1, SIZE)
    batches = [torch.randn(8, 3, *SIZE) for _ in range(3)]
    calibrate(encoder, batches)
    stem = encoder.body.get_submodule("0.0")
    norm = encoder.body.get_submodule("0.1")
    with torch.no_grad():
        means = torch.stack([stem(batch).mean((0, 2, 3)) for batch in batches])
    assert isinstance(norm, torch.nn.BatchNorm2d)
    torch.testing.assert_close(norm.running_mean, means.mean(0), atol=1e-5, rtol=1e-5)
    assert norm.momentum == 0.1
