"""Devices: the one rule by which a name becomes the device to compute on."""

from __future__ import annotations

import re

from data.runtime.errors import InputError


def choose_device(name: str, gpus: int, local_rank: int = 0) -> str:
    """Give "cpu" or "cuda:N" for what the user asked for; "" asks for a GPU if there is one.

    Args:
        name: "", "cpu", "cuda" or "cuda:N".
        gpus: how many GPUs this machine shows (`torch.cuda.device_count()`; no network is known on this floor).
        local_rank: number of this process among those that train together on this machine: of the GPU that it
            takes where none is named.

    Raises:
        InputError: the name is none of these, or that GPU is not there.
    """
    wanted = name or ("cuda" if gpus else "cpu")
    if wanted == "cpu":
        return wanted
    found = re.fullmatch(r"cuda(?::(\d{1,4}))?", wanted)
    if not found:
        raise InputError(f"device {name!r} is unknown: give cpu, cuda or cuda:N")
    number = int(found[1]) if found[1] else local_rank
    if number >= gpus:
        raise InputError(f"device cuda:{number} is not there: this machine shows {gpus} GPUs")
    return f"cuda:{number}"
