"""Plain photos: a few rendered people as a camera would leave them, without labels and without annotations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from data.runtime.files import replacing
from data.walkers.camera import CAMERAS, draw_shot
from data.walkers.person import draw_identity, draw_outfit
from data.walkers.render import render

_PEOPLE = 8
_HEIGHT, _WIDTH = 256, 128


def write_plain(root: Path, seed: int = 0) -> int:
    """Render 8 people before 3 cameras into a folder a camera, unless `root` is there already.

    Of the pictures, 256x128 JPEG, no more is written than what they show. The folder appears whole or not at all.

    Returns:
        How many were written.
    """
    if root.exists():
        return 0
    written = 0
    with replacing(root, flushed=False) as building:
        for person in range(_PEOPLE):
            rng = np.random.default_rng((seed, person))
            identity, outfit = draw_identity(rng), draw_outfit(rng)
            for name, camera in CAMERAS.items():
                pixels, _ = render(identity, outfit, draw_shot(rng, camera), _HEIGHT, _WIDTH)
                file = building / f"camera {name}" / f"{person:04d}.jpg"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(file, quality=92)
                written += 1
    return written
