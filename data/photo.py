"""A photo file as an array, and the name that it has inside its data set."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from data.runtime.errors import InputError

MAX_PIXELS = 64_000_000
_WHITE = (255, 255, 255, 255)


@dataclass(frozen=True)
class Photo:
    """A photo that was read.

    Attributes:
        path: its file.
        name: its path below the data set's root, with slashes, as `name_below` gives it.
        pixels: uint8 (H, W, 3), RGB.
    """

    path: Path
    name: str
    pixels: npt.NDArray[np.uint8]


def name_below(path: Path, root: Path) -> str:
    """Return the name of a photo: its path below its data set's root, with slashes; no link is followed."""
    return Path(os.path.relpath(path, root)).as_posix()


def read_photo(path: str | Path, size: tuple[int, int] | None = None) -> np.ndarray:
    """Return the photo as uint8 (H, W, 3) in RGB order, upright as its EXIF orientation says.

    `size` is (height, width) to resize to, bilinear and antialiased; None keeps the photo's own. Of an animation the
    first frame is read, transparency is laid on white, 16-bit grey is scaled to 8 bits. Raises InputError for whatever
    cannot be read as a picture, and for pictures of more than MAX_PIXELS pixels.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise InputError(f"{path}: there is no such file")
        if path.stat().st_size == 0:
            raise InputError(f"{path}: the file is empty (0 bytes); copy it again or remove it")
        with warnings.catch_warnings():
            # MAX_PIXELS is stricter than the size Pillow warns about, and Pillow's other remarks concern metadata.
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                if image.width * image.height > MAX_PIXELS:
                    measured = f"{image.width} x {image.height} pixels"
                    raise InputError(f"{path}: {measured} are more than the {MAX_PIXELS:,} a photo may have")
                image.load()
                image = _to_rgb(ImageOps.exif_transpose(image))
    except InputError:
        raise
    except PermissionError:
        raise InputError(f"{path}: no permission to read it; change its rights") from None
    except UnidentifiedImageError:
        raise InputError(f"{path}: this is not a picture in a known format; remove it or copy it again") from None
    except Exception as error:
        # Pillow's decoders meet a damaged file with errors of many kinds (OSError, SyntaxError, struct.error, ...).
        raise InputError(f"{path}: the picture cannot be read ({error}); copy it again or remove it") from None
    if size is not None and image.size != (size[1], size[0]):
        image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.array(image)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        grey = np.asarray(image).astype(np.int64)
        return Image.fromarray((grey.clip(0, 65535) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers, which have no agreed range")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, _WHITE), image).convert("RGB")
    return image.convert("RGB")
