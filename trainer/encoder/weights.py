"""Weights of backbones from files: state dicts, bare or inside a checkpoint of anybody's training, and safetensors."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from data.runtime.errors import InputError

_CLASSIFIERS = ("fc.", "head.", "classifier.")


def load_weights(body: nn.Module, path: Path) -> None:
    """Load a file's weights into a backbone; a classifier's keys are left out, all others must fit exactly.

    The backbone may lie at any depth, under any prefix of its keys, and its stages may have numbers in place of names:
    what training codes wrap around it is left out. The position embedding of a timm transformer is resampled to the
    pictures' size, as timm does.

    Args:
        body: what is loaded into, in place.
        path: a torchvision or timm state dict (.pth), a checkpoint that holds one, ours too, or a .safetensors file.

    Raises:
        InputError: the file cannot be read, keys are missing, surplus or of another shape, or a number is not finite.
    """
    wanted = body.state_dict()
    state = _as_timm_would(body, _find_body(_read_state(path), wanted), path)
    missing = [key for key in wanted if key not in state and not key.endswith("num_batches_tracked")]
    surplus = [key for key in state if key not in wanted and not key.startswith(_CLASSIFIERS)]
    shapes = [key for key in wanted if key in state and state[key].shape != wanted[key].shape]
    for what, keys in (("are missing", missing), ("are not of this backbone", surplus), ("have another shape", shapes)):
        if keys:
            more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
            raise InputError(f"{path}: keys {', '.join(keys[:3])}{more} {what}: choose the backbone the file is of")
    taken = {key: value for key, value in state.items() if key in wanted}
    for key, value in taken.items():
        if not value.isfinite().all():
            raise InputError(f"{path}: {key} holds numbers that are not finite: take another file of weights")
    body.load_state_dict(taken, strict=False)


def _find_body(state: dict[str, Tensor], wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give what lies under the prefix under which most of the wanted keys lie: of several the first (MoCo's encoder_q).

    Where few lie anywhere, the stages may have numbers in place of names; else all is given, since names may be of
    another convention.
    """
    prefixes: Counter[str] = Counter()
    for key in state:
        parts = key.split(".")
        ends = [(".".join(parts[:i]), ".".join(parts[i:])) for i in range(len(parts))]
        prefixes.update(f"{start}." if start else "" for start, end in ends if end in wanted)
    [(prefix, found)] = prefixes.most_common(1) or [("", 0)]
    if 2 * found < len(wanted):
        return _find_numbered(state, wanted) or state
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def _find_numbered(state: dict[str, Tensor], wanted: dict[str, Tensor]) -> dict[str, Tensor] | None:
    """Find a backbone whose parts were put into an `nn.Sequential`, and give the parts their names back.

    Person re-identification does that to ResNets, with or without the first ReLU: what has no weights has no key, and
    the others come in the backbone's own order.
    """
    names = list(dict.fromkeys(key.partition(".")[0] for key in wanted))
    for prefix, numbers in _numbers(state).items():
        named = {str(number): name for number, name in zip(sorted(numbers), names, strict=False)}
        below = (key.removeprefix(prefix).partition(".") for key in state if key.startswith(prefix))
        found = {
            f"{named[part]}.{rest}": state[f"{prefix}{part}.{rest}"]
            for part, _, rest in below
            if part in named and rest
        }
        if 2 * len(found.keys() & wanted.keys()) >= len(wanted):
            return found
    return None


def _numbers(keys: Iterable[str]) -> dict[str, set[int]]:
    """The numbers that follow each prefix of some keys as words of their own."""
    numbers: dict[str, set[int]] = {}
    for key in keys:
        words = key.split(".")
        for place, word in enumerate(words):
            if word.isdecimal():
                numbers.setdefault("".join(f"{above}." for above in words[:place]), set()).add(int(word))
    return numbers


def _as_timm_would(body: nn.Module, state: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Fit a state dict to a model of timm: old names, and position embeddings of another picture size."""
    module = type(body).__module__
    filtered = getattr(sys.modules[module], "checkpoint_filter_fn", None) if module.startswith("timm.") else None
    if filtered is None:
        return state
    try:
        return dict(filtered(state, body))
    except (KeyError, IndexError, AttributeError, AssertionError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{path}: cannot be made to fit ({type(error).__name__} {error}): choose the backbone the file is of"
        ) from error


def _read_state(path: Path) -> dict[str, Tensor]:
    """Read all tensors of a file, by their names; those in a dictionary bear its name and a dot before their own."""
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
    state = _flat(content) if isinstance(content, dict) else {}
    if not state:
        raise InputError(f"{path}: is no state dict; save model.state_dict()")
    return state


def _flat(content: dict[Any, Any], start: str = "") -> dict[str, Tensor]:
    flat: dict[str, Tensor] = {}
    for key, value in content.items():
        if isinstance(value, Tensor):
            flat[f"{start}{key}"] = value
        elif isinstance(value, dict):
            flat |= _flat(value, f"{start}{key}.")
    return flat
