"""Arrays in NumPy's own files, read whole: whatever has happened to the bytes is one kind of error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Read all arrays of an .npz file, by name; nothing in it is unpickled.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is no such file, or a byte of it has changed.
    """
    with path.open("rb") as file:
        try:
            return dict(np.load(file, allow_pickle=False))
        except Exception as error:
            # A damaged archive is met with errors of a dozen kinds (BadZipFile, NotImplementedError, OSError, ...).
            raise ValueError(f"{type(error).__name__}: {error}") from error
