"""One photo of a walker, with its exact pose and parsing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from data.annotation import Annotation
from data.walkers.body import pose_body
from data.walkers.camera import Shot, backdrop, expose
from data.walkers.drawing import Drawing, draw_figure
from data.walkers.person import Identity, Outfit

_SUPERSAMPLING = 4


def render(
    identity: Identity, outfit: Outfit, shot: Shot, height: int = 128, width: int = 64
) -> tuple[npt.NDArray[np.uint8], Annotation]:
    """Photograph a person in an outfit: uint8 RGB (height, width, 3) and what is where in it.

    The same person and shot with another outfit give the photo that an ideal generator would redraw.
    """
    tall, wide = height * _SUPERSAMPLING, width * _SUPERSAMPLING
    drawing = Drawing(backdrop(shot, height, width, _SUPERSAMPLING))
    body = pose_body(identity, outfit, shot, tall, wide)
    draw_figure(drawing, body, outfit)
    photo = expose(drawing.picture.reduce(_SUPERSAMPLING), shot)
    parsing = np.asarray(drawing.parsing.resize((width, height), Image.Resampling.NEAREST))
    return photo, Annotation(body.joints() / np.float32(_SUPERSAMPLING), parsing)
