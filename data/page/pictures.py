"""Pictures that a page holds in itself."""

from __future__ import annotations

import base64
import io

import numpy as np
import numpy.typing as npt
from PIL import Image

QUALITY = 72
"""Of JPEG, 0 to 95: below 70 faces smear, above 80 files grow and nobody sees why."""


def picture_uri(pixels: npt.NDArray[np.uint8], height: int) -> str:
    """Give pixels, uint8 (H, W, 3), as the address of a JPEG in the page, made smaller if higher than `height`."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg(pixels, height)).decode()}"


def jpeg(pixels: npt.NDArray[np.uint8], height: int) -> bytes:
    """Give pixels, uint8 (H, W, 3), as the bytes of a JPEG, made smaller if higher than `height`."""
    image = Image.fromarray(pixels)
    if image.height > height:
        image = image.resize((max(1, round(image.width * height / image.height)), height), Image.Resampling.BILINEAR)
    stream = io.BytesIO()
    image.save(stream, format="JPEG", quality=QUALITY, optimize=True)
    return stream.getvalue()
