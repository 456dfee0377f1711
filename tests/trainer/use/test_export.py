from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from data.photo import read_photo
from data.runtime.errors import InputError, RunError
from trainer import runs
from trainer.batches import Input
from trainer.encoder import Encoder, make_encoder
from trainer.use import export_encoder

Command = Callable[..., Any]


@pytest.fixture
def photos(gallery: Path) -> np.ndarray:
    """The gallery's photos, resized as the file says."""
    return np.stack([read_photo(path, (32, 16)) for path in sorted(gallery.rglob("*.png"))])


@pytest.fixture
def features(gallery: Path, run: runs.Run) -> np.ndarray:
    return Encoder.load("demo").embed(sorted(gallery.rglob("*.png")))


def test_onnx_gives_the_features_of_any_number_of_photos(
    command: Command, run: runs.Run, photos: np.ndarray, features: np.ndarray
) -> None:
    done = command("export")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "written to work/runs/demo/export/encoder.onnx"
    assert [path.name for path in (run.folder / "export").iterdir()] == ["encoder.onnx"]
    path = run.folder / "export" / "encoder.onnx"
    onnx.checker.check_model(onnx.load(path))
    session = onnxruntime.InferenceSession(path)
    for count in (1, 4, 6):
        [given] = session.run(None, {"photos": photos[:count]})
        np.testing.assert_allclose(given, features[:count], atol=1e-4)
    noted = session.get_modelmeta().custom_metadata_map
    assert (noted["run"], noted["backbone"], noted["epoch"]) == ("demo", "small", "2")
    said = json.loads(noted["preprocessing"])
    assert (said["height"], said["width"], said["dimensions"]) == (32, 16, 128)
    assert said["normalisation"].endswith("inside the file")


def test_torchscript_gives_them_too(command: Command, run: runs.Run, photos: np.ndarray, features: np.ndarray) -> None:
    done = command("export", "--format", "torchscript", "--output", "somewhere/my.pt")
    assert (done.returncode, done.stderr) == (0, "")
    extra = {"preprocessing": "", "run": ""}
    loaded = torch.jit.load("somewhere/my.pt", _extra_files=extra)
    with torch.no_grad():
        np.testing.assert_allclose(loaded(torch.from_numpy(photos)), features, atol=1e-4)
    assert json.loads(extra["preprocessing"])["mean"] == [0.485, 0.456, 0.406]


def test_safetensors_holds_the_weights(command: Command, run: runs.Run, features: np.ndarray, gallery: Path) -> None:
    done = command("export", "--format", "safetensors")
    assert (done.returncode, done.stderr) == (0, "")
    path = run.folder / "export" / "encoder.safetensors"
    encoder = make_encoder(run.config, "none")
    encoder.load_state_dict(safetensors.torch.load_file(path))
    np.testing.assert_array_equal(encoder.embed(sorted(gallery.rglob("*.png"))), features)
    with safetensors.safe_open(path, "np") as file:
        said = json.loads(file.metadata()["preprocessing"])
    assert said["layout"] == "float32 N, 3, height, width"
    assert said["normalisation"].endswith("before the weights")


class Fickle(nn.Module):
    """A body whose answer depends on the number of photos by a way that tracing does not see."""

    def forward(self, pixels: Tensor) -> Tensor:
        means = pixels.mean((2, 3))
        return means if len(pixels) == 2 else means.flip(1)


def test_a_file_that_gives_other_features_is_not_kept(tmp_path: Path) -> None:
    encoder = Encoder(Fickle(), 3, Input((32, 16))).eval()
    with pytest.raises(RunError, match=r"torchscript file gives features that are .* from PyTorch's"):
        export_encoder(tmp_path / "f.pt", encoder, "torchscript", {})
    assert list(tmp_path.iterdir()) == []


class Rigid(nn.Module):
    """A body that is written for as many photos as it was traced with."""

    def forward(self, pixels: Tensor) -> Tensor:
        return pixels.mean((2, 3)) + torch.ones(len(pixels), 3)


def test_a_file_for_one_number_of_photos_is_not_kept(tmp_path: Path) -> None:
    encoder = Encoder(Rigid(), 3, Input((32, 16))).eval()
    with pytest.raises(InputError, match="cannot be written as onnx"):
        export_encoder(tmp_path / "f.onnx", encoder, "onnx", {})
    assert list(tmp_path.iterdir()) == []


def test_what_a_format_has_no_word_for_is_one_line(tmp_path: Path) -> None:
    class Listless(nn.Module):
        def forward(self, pixels: Tensor) -> Tensor:
            raise NotImplementedError("no words\nat all")

    with pytest.raises(InputError, match=r"cannot be written as torchscript \(no words\): give another format"):
        export_encoder(tmp_path / "f.pt", Encoder(Listless(), 3), "torchscript", {})


def test_without_the_extra_it_is_one_line(run: runs.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match="format onnx needs onnxruntime: pip install onnx onnxruntime onnxscript"):
        export_encoder(tmp_path / "f.onnx", Encoder.load("demo", device="cpu"), "onnx", {})
    assert list(tmp_path.glob("*.onnx")) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["onnx", "torchscript"])
@pytest.mark.parametrize("backbone", ["resnet50", "timm:vit_tiny_patch16_224"])
def test_larger_backbones_are_written(tiny: Callable[..., Any], tmp_path: Path, backbone: str, kind: str) -> None:
    config = tiny(backbone=backbone, backbone_weights="none", height=64, width=32, last_stride=2)
    export_encoder(tmp_path / "f", make_encoder(config).eval(), kind, {})
    assert (tmp_path / "f").stat().st_size > 20_000_000
