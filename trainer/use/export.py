"""Export: an encoder as one file that runs without this program, with what it must be given written into it."""

from __future__ import annotations

import importlib
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from data.runtime.errors import InputError, RunError
from data.runtime.files import replacing
from trainer.encoder import Encoder

_FARTHEST = 1e-4
"""How far a number of a feature may be from PyTorch's in a file that is kept."""
_BATCHES = (2, 1, 5)
"""Photos in the batch that an encoder is traced with, and in two more that the file is tried with."""


class Portable(nn.Module):
    """An encoder with normalisation inside and all in float32: uint8 (N, H, W, 3) in RGB to float32 (N, d)."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.body, self.neck = encoder.body, encoder.neck
        self.mean: Tensor
        self.std: Tensor
        for name in ("mean", "std"):
            of_bytes = 255 * torch.tensor(getattr(encoder.input, name)).view(3, 1, 1)
            self.register_buffer(name, of_bytes, persistent=False)

    def forward(self, photos: Tensor) -> Tensor:
        """Give features of unit length."""
        pixels = (photos.permute(0, 3, 1, 2).float() - self.mean) / self.std
        return F.normalize(self.neck(self.body(pixels)))


def export_encoder(path: Path, encoder: Encoder, kind: str, notes: Mapping[str, str]) -> dict[str, str]:
    """Write an encoder to a file, whole or not at all, after trying that it gives what PyTorch gives here.

    ONNX and TorchScript take `photos`, uint8 (N, H, W, 3) in RGB, of any number, resized, and give `features`, float32
    (N, d) of length 1. Safetensors holds the weights alone.

    Args:
        path: the file.
        encoder: the encoder, on the CPU.
        kind: `onnx`, `torchscript` or `safetensors`.
        notes: what else to write into the file, such as where the encoder comes from.

    Returns:
        What is written into the file beside the weights: the notes, and `preprocessing` as JSON.

    Raises:
        InputError: a package that writes or tries ONNX is missing, or the backbone cannot be written in this format.
        RunError: the file gives other features.
    """
    written = {**notes, "preprocessing": json.dumps(_preprocessing(encoder, inside=kind != "safetensors"))}
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary, _refusing(kind):
        _WRITERS[kind](temporary, encoder, written)
    return written


def _preprocessing(encoder: Encoder, inside: bool) -> dict[str, Any]:
    """What a photo must go through before it is given to the file, or to the weights in it."""
    height, width = encoder.input.size
    return {
        "height": height,
        "width": width,
        "resizing": "bilinear, antialiased, as Pillow's BILINEAR; before the file",
        "colours": "RGB, 0 to 255",
        "mean": list(encoder.input.mean),
        "std": list(encoder.input.std),
        "normalisation": "(colours / 255 - mean) / std; " + ("inside the file" if inside else "before the weights"),
        "layout": "uint8 N, height, width, 3" if inside else "float32 N, 3, height, width",
        "dimensions": encoder.dimensions,
    }


def _write_onnx(path: Path, encoder: Encoder, written: Mapping[str, str]) -> None:
    try:
        import onnx
        import onnxruntime
        from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

        importlib.import_module("onnxscript")  # which torch writes ONNX with
    except ImportError as error:
        raise InputError(
            f"format onnx needs {error.name}: pip install onnx onnxruntime onnxscript, or give another format"
        ) from error
    portable = Portable(encoder).eval()
    photos = _photos(encoder)
    with _quiet():
        program = torch.onnx.export(
            portable,
            (photos[0],),
            input_names=["photos"],
            output_names=["features"],
            dynamic_shapes={"photos": {0: torch.export.Dim("photos_given")}},
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    onnx.helper.set_model_props(model, dict(written))
    onnx.save(model, path)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])

    def run(given: Tensor) -> Tensor:
        try:
            return torch.from_numpy(session.run(None, {"photos": given.numpy()})[0])
        except InvalidArgument as error:  # It was written for one number of photos alone.
            raise ValueError(str(error)) from error

    _compare("onnx", portable, photos, run)


def _write_torchscript(path: Path, encoder: Encoder, written: Mapping[str, str]) -> None:
    portable = Portable(encoder).eval()
    photos = _photos(encoder)
    with _quiet(), torch.no_grad():
        traced = torch.jit.trace(portable, (photos[0],), check_trace=False)
        with path.open("wb") as file:  # Python's files tell of a full disk, torch's do not
            torch.jit.save(traced, file, _extra_files={name: text.encode() for name, text in written.items()})
        _compare("torchscript", portable, photos, torch.jit.load(path))


def _write_safetensors(path: Path, encoder: Encoder, written: Mapping[str, str]) -> None:
    tensors = {name: tensor.contiguous() for name, tensor in encoder.state_dict().items()}
    # Not save_file, which has an error of its own for a full disk.
    path.write_bytes(safetensors.torch.save(tensors, dict(written)))


_WRITERS: Mapping[str, Callable[[Path, Encoder, Mapping[str, str]], None]] = {
    "onnx": _write_onnx,
    "torchscript": _write_torchscript,
    "safetensors": _write_safetensors,
}


def _photos(encoder: Encoder) -> list[Tensor]:
    """Batches of noise to try an encoder with, the same each time."""
    random = torch.Generator().manual_seed(0)
    return [torch.randint(256, (n, *encoder.input.size, 3), dtype=torch.uint8, generator=random) for n in _BATCHES]


@torch.no_grad()
def _compare(kind: str, portable: Portable, photos: list[Tensor], run: Callable[[Tensor], Tensor]) -> None:
    farthest = max(float((run(given) - portable(given)).abs().max()) for given in photos)
    if not farthest <= _FARTHEST:
        raise RunError(
            f"the {kind} file gives features that are {farthest:.1g} from PyTorch's, more than {_FARTHEST:.0e}, and was"
            " not kept: give another format"
        )


@contextmanager
def _refusing(kind: str) -> Iterator[None]:
    """Say in one line that a backbone holds what a format has no word for."""
    try:
        yield
    except (RuntimeError, ValueError, TypeError, NotImplementedError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"this backbone cannot be written as {kind} ({reason}): give another format") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep to itself what the exporters have to say of their own workings and of what they will drop."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
