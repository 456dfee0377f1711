"""Checkpoints: the two kinds published for PISE, and our own, a safetensors file of plain weights."""

from __future__ import annotations

import os
import pickle
import re
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import nn
from torch.nn.utils import parametrize

from data.runtime.errors import InputError
from data.runtime.files import replacing
from pipeline.pise.model.generator import KINDS, POSE_TRANSFER, TEXTURE_TRANSFER, Generator
from pipeline.pise.model.parts import REGIONS

FORMAT = "1"

# Our names of the parts, and the published ones.
_PREFIXES = {
    "style_encoder.": "Zencoder.",
    "layout_encoder.": "parenc.",
    "region_norm.": "efb.",
    "decoder.": "dec.",
    "parsing_network.": "parnet.",
    "correspondence.vgg.": "imgenc.vgg.",
    "correspondence.get_": "getMatrix.get_",
    "correspondence.": "",
}
_UNUSED = re.compile(
    r"dec\.out\.conv1\.|parnet\.parout\.conv1\.|parnet\.makout\.|efb\.blending_"
    r"|imgenc\.vgg\.(12|14|16|19|21|23|25|28|30|32|34)\."
)
_UNUSED_IN_TEXTURE_TRANSFER = re.compile(r"imgenc\.vgg\.|getMatrix\.|phi\.|theta\.|res1\.")


def load_generator(checkpoint: str | os.PathLike[str], device: str | torch.device = "cpu") -> Generator:
    """Load a generator, ready to paint, from a published PISE checkpoint of either kind or one of our own.

    Args:
        checkpoint: a `.pth` state dict in the old spectral-norm form (read without unpickling code), or safetensors.
        device: where it shall live.

    Returns:
        The generator in float32 and evaluation mode, spectral norm folded into plain weights.

    Raises:
        InputError: the file is missing, no checkpoint, or of another network: keys missing or surplus, or shapes that
            do not fit, are named.
    """
    path = Path(checkpoint)
    tensors, metadata = _read(path)
    if "kind" in metadata:
        generator = _empty_generator(path, metadata)
        state = tensors
        _compare_names(path, set(generator.state_dict()), set(state))
    else:
        generator, state = _published(path, tensors)
    for name, parameter in generator.state_dict().items():
        if state[name].shape != parameter.shape:
            found, wanted = tuple(state[name].shape), tuple(parameter.shape)
            raise InputError(
                f"{path}: {name} has shape {found}, a generator of {generator.channels} channels needs {wanted}"
            )
    state = {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
    generator.load_state_dict(state, assign=True)
    return generator.eval().to(device)


def save_generator(generator: Generator, path: str | os.PathLike[str]) -> None:
    """Write a generator as safetensors: weights in half precision, vectors in float32; the header says the rest.

    Parametrisations (spectral norm while training) are folded into plain weights. The file appears whole or not at all.
    """
    state = {name: value for name, value in generator.state_dict().items() if ".parametrizations." not in name}
    for module_name, module in generator.named_modules():
        if parametrize.is_parametrized(module):
            for tensor_name in module.parametrizations:
                state[f"{module_name}.{tensor_name}"] = getattr(module, tensor_name)
    state = {
        name: (value.half() if value.dim() > 1 else value).detach().cpu().contiguous() for name, value in state.items()
    }
    metadata = {"format": FORMAT, "kind": generator.kind, "width": str(generator.channels)}
    if generator.size is not None:
        metadata["size"] = "{}x{}".format(*generator.size)
    metadata["recuts"] = str(generator.reshapes)
    if generator.backdrop:
        metadata["backdrop"] = "True"
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as unfinished:
        # Not save_file, which makes a file that nobody else may read.
        unfinished.write_bytes(safetensors.torch.save(state, metadata))


def _read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """The tensors of a file and the metadata of its header (empty for a pickled one)."""
    if not path.is_file():
        raise InputError(f"{path}: no such file: give a PISE checkpoint (.pth or .safetensors)")
    with path.open("rb") as file:
        is_safetensors = file.read(9)[8:] == b"{"
    try:
        if is_safetensors:
            with safetensors.safe_open(path, "pt") as header:
                metadata = header.metadata() or {}
            return safetensors.torch.load_file(path), metadata
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (safetensors.SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: not a readable checkpoint of plain tensors ({reason[:120]})") from error
    if not isinstance(content, dict) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise InputError(f"{path}: holds no plain state dict: give the generator's own file (latest_net_G.pth)")
    return content, {}


def _empty_generator(path: Path, metadata: dict[str, str]) -> Generator:
    if metadata.get("format") != FORMAT:
        raise InputError(
            f"{path}: format {metadata.get('format')}, this version reads {FORMAT}: update, or train it anew"
        )
    kind, channels = metadata["kind"], metadata.get("width", "")
    size = re.fullmatch(r"(\d+)x(\d+)", metadata.get("size", ""))
    if kind not in KINDS or not channels.isdecimal() or not int(channels):
        raise InputError(
            f"{path}: header says kind {kind!r}, width {channels!r}; wanted {' or '.join(KINDS)} and a number"
        )
    generator = _on_meta(int(channels), kind)
    generator.size = (int(size[1]), int(size[2])) if size else None
    generator.reshapes = metadata.get("recuts") == "True"
    generator.backdrop = metadata.get("backdrop") == "True"
    return generator


def _published(path: Path, tensors: dict[str, torch.Tensor]) -> tuple[Generator, dict[str, torch.Tensor]]:
    """A generator of the kind and size of a published state dict, and that state dict in our names and folded."""
    kind = POSE_TRANSFER if any(name.startswith("parnet.") for name in tensors) else TEXTURE_TRANSFER
    code = tensors.get("Zencoder.get_code.0.bias")
    if code is None or code.dim() != 1 or len(code) < 4:
        raise InputError(f"{path}: no PISE generator: it lacks Zencoder.get_code.0.bias, which gives its channels")
    generator = _on_meta(len(code) // 4, kind)
    used = {
        name: tensor
        for name, tensor in tensors.items()
        if not _UNUSED.match(name) and not (kind == TEXTURE_TRANSFER and _UNUSED_IN_TEXTURE_TRANSFER.match(name))
    }
    wanted = {name: _published_names(name) for name in generator.state_dict()}
    plain = {re.sub(r"\.weight_(orig|u|v)$", ".weight", name) for name in used}
    _compare_names(path, {name for names in wanted.values() for name in names}, plain)

    state = {}
    for name, names in wanted.items():
        module = generator.get_submodule(name.rpartition(".")[0])
        rows = 1 if isinstance(module, nn.ConvTranspose2d) else 0
        pieces = [_fold(path, used, source, rows) for source in names]
        state[name] = pieces[0] if len(pieces) == 1 else torch.stack(pieces)
    return generator, state


def _fold(path: Path, tensors: dict[str, torch.Tensor], name: str, rows: int) -> torch.Tensor:
    """A weight without its spectral norm: W / (u·(W v)), W a matrix whose rows are dimension `rows`."""
    if name in tensors:
        return tensors[name]
    parts = [f"{name}_{part}" for part in ("orig", "u", "v")]
    _compare_names(path, set(parts), set(parts) & tensors.keys())
    weight, u, v = (tensors[part].float() for part in parts)
    matrix = weight.transpose(0, rows).flatten(1)
    if matrix.shape != (len(u), len(v)):
        raise InputError(f"{path}: {parts[0]} is {tuple(weight.shape)}, but its u and v have {len(u)} and {len(v)}")
    return weight / torch.dot(u, matrix @ v)


def _published_names(name: str) -> list[str]:
    """What the published state dicts call one of our tensors; eight names for the stacked region layers."""
    if name.startswith("region_norm.fc_"):
        return [f"efb.fc_mu{region}.{name.removeprefix('region_norm.fc_')}" for region in range(REGIONS)]
    for ours, published in _PREFIXES.items():
        if name.startswith(ours):
            return [published + name.removeprefix(ours)]
    return [name]


def _compare_names(path: Path, wanted: set[str], found: set[str]) -> None:
    complaints = [
        f"{word} {', '.join(sorted(names)[:4])}" + (f" and {len(names) - 4} more" if len(names) > 4 else "")
        for word, names in (("lacks", wanted - found), ("has surplus", found - wanted))
        if names
    ]
    if complaints:
        raise InputError(f"{path}: not the weights of a PISE generator: it {'; it '.join(complaints)}")


def _on_meta(channels: int, kind: str) -> Generator:
    """A generator without memory, to be filled."""
    with torch.device("meta"):
        return Generator(channels, kind)
