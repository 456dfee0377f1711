"""Blame: is an error the fault of the photo that was being redrawn, or of the machine, so that others meet it too?"""

from __future__ import annotations

import torch

from data.runtime.errors import InputError, RunError

_NEVER_A_PHOTOS = (InputError, RunError, MemoryError, OSError, torch.OutOfMemoryError, torch.AcceleratorError)
# PyTorch raises these as bare RuntimeErrors: only their words tell them from those over a photo's numbers.
_WORDS_OF_A_MACHINE = ("CUDA", "cuDNN", "allocate memory")


def of_photo(error: Exception) -> bool:
    """Whether it may be a photo's fault that redrawing it raised this error.

    Never is a lack of memory, whatever goes wrong with a disk or a GPU, and what the user must see to.
    """
    if isinstance(error, _NEVER_A_PHOTOS):
        return False
    return not (isinstance(error, RuntimeError) and any(word in str(error) for word in _WORDS_OF_A_MACHINE))


def in_words(error: Exception) -> str:
    """Say in one line what an error is."""
    first = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
