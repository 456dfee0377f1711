"""BlazePose's network: 39 points, how sure it is of them and of a person, and a mask, of a square picture."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit

if TYPE_CHECKING:
    from ai_edge_litert.interpreter import Interpreter

FILE = Path(__file__).parent / "pose_landmark_full.tflite"
SIDE = 256
"""Side of the square that it looks at, in pixels."""

_POINTS = 39
# The names that the converter to TensorFlow Lite gave the outputs.
_LANDMARKS, _PERSON, _MASK, _HEAT = "Identity", "Identity_1", "Identity_2", "Identity_3"
# MediaPipe's own: a landmark moves to the centre of gravity of 7 x 7 cells of its heat map where one is above 0.5.
_WINDOW = 7
_HOT = 0.5


@dataclass(frozen=True)
class Output:
    """What the network says of one square.

    `person` is the probability that there is one. `points`: float64 (39, 2), x and y in the square, 0 to 256: the 33
    landmarks and six helpers. `visible`: (39,), the probability that a point is in sight. `mask`: float32 (256, 256),
    the probability that a pixel belongs to the person.
    """

    person: float
    points: npt.NDArray[np.float64]
    visible: npt.NDArray[np.float64]
    mask: npt.NDArray[np.float32]


class Network:
    """The network on one thread of the CPU, loaded when it is first asked; a pickle holds no more than its name."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 of its file."""
        return hashlib.sha256(FILE.read_bytes()).hexdigest()

    def __call__(self, square: npt.NDArray[np.float32]) -> Output:
        """Look at a square, float32 (256, 256, 3) of 0 to 1."""
        interpreter = self._interpreter
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], square[None])
        interpreter.invoke()
        found = {each["name"]: interpreter.get_tensor(each["index"])[0] for each in interpreter.get_output_details()}
        landmarks = found[_LANDMARKS].reshape(_POINTS, 5).astype(np.float64)
        return Output(
            person=float(found[_PERSON][0]),
            points=_refine(landmarks[:, :2], expit(found[_HEAT])),
            visible=expit(landmarks[:, 3]),
            mask=expit(found[_MASK][..., 0]),
        )

    def __getstate__(self) -> dict[str, Any]:
        return {}

    @cached_property
    def _interpreter(self) -> Interpreter:
        from ai_edge_litert.interpreter import Interpreter

        with _silent():
            interpreter = Interpreter(str(FILE), num_threads=1)
            interpreter.allocate_tensors()
        return interpreter


def _refine(points: npt.NDArray[np.float64], heat: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """The points (39, 2) moved to where their heat maps (64, 64, 39) have the centre of gravity near them."""
    side, reach = len(heat), _WINDOW // 2
    cells = np.floor(points * side / SIDE).astype(int)
    inside = ((cells >= 0) & (cells < side)).all(1)
    offsets = np.arange(-reach, reach + 1)
    columns, rows = (np.where(inside, cell, 0)[:, None] + offsets for cell in cells.T)
    padded = np.pad(heat, ((reach, reach), (reach, reach), (0, 0)))
    windows = padded[rows[:, :, None] + reach, columns[:, None, :] + reach, np.arange(len(points))[:, None, None]]
    hot = inside & (windows.max((1, 2)) >= _HOT)
    weight = np.maximum(windows.sum((1, 2)), np.finfo(np.float32).tiny)
    centre = np.stack([(windows * columns[:, None, :]).sum((1, 2)), (windows * rows[:, :, None]).sum((1, 2))], 1)
    return np.where(hot[:, None], centre / weight[:, None] * SIDE / side, points)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Without the note that the interpreter's C++ part writes to standard error in every process that loads it."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
