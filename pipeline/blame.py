"""Blame: is an error the fault of the photo that was being redrawn, or of the machine, so that others meet it too?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from data.runtime.errors import InputError, RunError

_NEVER_A_PHOTOS = (InputError, RunError, MemoryError, OSError)
# PyTorch's are RuntimeErrors, most of them bare: only words tell them from those over a photo's numbers.
_WORDS_OF_A_MACHINE = ("CUDA", "cuDNN", "HIP", "out of memory", "allocate memory")


Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


def each_alone(fault: Exception, work: Callable[[Item], Outcome], items: Sequence[Item]) -> list[Outcome | Exception]:
    """Do on each of some photos alone what failed on all at once, so that one photo's fault is not the others'.

    Args:
        fault: with which it failed.
        work: is done on a photo.
        items: the photos, as `work` takes them.

    Returns:
        What `work` gave, or the error that is the photo's fault.

    Raises:
        Exception: the fault, if it cannot be a photo's, or if each of several photos fails; and any other of that kind.
    """
    if not of_photo(fault):
        raise fault
    outcomes: list[Outcome | Exception] = []
    for item in items:
        try:
            outcomes.append(work(item))
        except Exception as error:
            if not of_photo(error):
                raise
            outcomes.append(error)
    if len(outcomes) > 1 and all(isinstance(outcome, Exception) for outcome in outcomes):
        raise fault
    return outcomes


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
