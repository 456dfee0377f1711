"""Weights of backbones from files: state dicts of torchvision and timm, and safetensors."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from data.runtime.errors import InputError

_CLASSIFIERS = ("fc.", "head.", "classifier.")


def load_weights(body: nn.Module, path: Path) -> None:
    """Load a file's state dict into a backbone; a classifier's keys are left out, all others must fit exactly.

    Args:
        body: what is loaded into, in place.
        path: a torchvision or timm state dict (.pth), bare or wrapped, or a .safetensors file.

    Raises:
        InputError: the file cannot be read, or keys are missing, surplus or of another shape.
    """
    state = {key.removeprefix("module."): value for key, value in _read_state(path).items()}
    wanted = body.state_dict()
    missing = [key for key in wanted if key not in state and not key.endswith("num_batches_tracked")]
    surplus = [key for key in state if key not in wanted and not key.startswith(_CLASSIFIERS)]
    shapes = [key for key in wanted if key in state and state[key].shape != wanted[key].shape]
    for what, keys in (("are missing", missing), ("are not of this backbone", surplus), ("have another shape", shapes)):
        if keys:
            more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
            raise InputError(f"{path}: keys {', '.join(keys[:3])}{more} {what}: choose the backbone the file is of")
    body.load_state_dict({key: value for key, value in state.items() if key in wanted}, strict=False)


def _read_state(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise InputError(f"{path}: no such file of backbone weights; give imagenet, none, or a file")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, RuntimeError, EOFError, ValueError, OSError) as error:
        reason = (str(error).splitlines() or ["it ends too early"])[0]
        raise InputError(f"{path}: no state dict can be read from it ({reason})") from error
    except Exception as error:  # pickle.UnpicklingError: anything but tensors is refused, and is not run.
        raise InputError(f"{path}: holds more than tensors, which is not loaded; save its state dict alone") from error
    for wrapper in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise InputError(f"{path}: is no state dict; save model.state_dict()")
    return content
