"""A photo file as an array, and the name that it has inside its data set."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, PngImagePlugin, UnidentifiedImageError

from data.jpeg import complete
from data.runtime.errors import InputError

MAX_PIXELS = 64_000_000
_PIXELS_AT_ONCE = 16_000_000  # of a batch: 48 MB

# What a picture's file says in words is read with it; Pillow's own bounds refuse pictures with much of it.
PngImagePlugin.MAX_TEXT_CHUNK = 1 << 26
PngImagePlugin.MAX_TEXT_MEMORY = 1 << 28

_WHITE = (255, 255, 255, 255)


@dataclass(frozen=True)
class Photo:
    """A photo that was read.

    Attributes:
        path: its file.
        name: its path below the data set's root, with slashes, as `name_below` gives it.
        pixels: uint8 (H, W, 3), RGB.
        transparent: whether its file has pixels that let white through.
    """

    path: Path
    name: str
    pixels: npt.NDArray[np.uint8]
    transparent: bool = False

    @staticmethod
    def read(path: Path, root: Path) -> Photo:
        """Read the photo at `path` of the data set whose folder is `root`; InputError as `read_photo` raises it."""
        image, transparent = _open(path)
        return Photo(path, name_below(path, root), np.array(image), transparent)


@dataclass
class PhotoBatch:
    """Photos that were read together, and (name, reason) of each that cannot be read."""

    photos: list[Photo] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)


def read_batches(paths: Iterable[Path], root: Path, most: int) -> Iterator[PhotoBatch]:
    """Read photos of the data set whose folder is `root` in batches.

    A batch has at most `most` photos, and fewer where they are large, so that a batch of whatever is found in a folder
    fits in memory.
    """
    batch, pixels = PhotoBatch(), 0
    for path in paths:
        try:
            photo = Photo.read(path, root)
        except InputError as error:
            batch.failures.append((name_below(path, root), str(error)))
            continue
        batch.photos.append(photo)
        pixels += photo.pixels.shape[0] * photo.pixels.shape[1]
        if len(batch.photos) == most or pixels >= _PIXELS_AT_ONCE:
            yield batch
            batch, pixels = PhotoBatch(), 0
    if batch.photos or batch.failures:
        yield batch


def name_below(path: Path, root: Path) -> str:
    """Return the name of a photo: its path below its data set's root, with slashes; no link is followed."""
    return Path(os.path.relpath(path, root)).as_posix()


def names_below(paths: Sequence[Path], root: Path) -> list[str]:
    """Return the names of many photos as `name_below` gives them, in a tenth of the time."""
    prefix = f"{root}/"
    texts = map(str, paths)
    plain = (text[len(prefix) :] if text.startswith(prefix) else "" for text in texts)
    return [
        name if name and ".." not in name else name_below(path, root) for name, path in zip(plain, paths, strict=True)
    ]


def photos_digest(root: Path, names: Iterable[str]) -> str | None:
    """Return twelve hexadecimal digits that differ where photos' names below `root` or their sizes in bytes differ.

    None where a photo is gone, so that nothing is known of it.
    """
    try:
        return sizes_digest(sorted((name, (root / name).stat().st_size) for name in set(names)))
    except OSError:
        return None


def sizes_digest(photos: Iterable[tuple[str, int]]) -> str:
    """Return the twelve digits of `photos_digest` for photos of these names and sizes in bytes, sorted by name."""
    digest, between = hashlib.sha256(b"["), ""
    # As the list of all would be written, which of a million photos would be a hundred megabytes.
    for photo in photos:
        digest.update(f"{between}{photo!r}".encode())
        between = ", "
    digest.update(b"]")
    return digest.hexdigest()[:12]


def read_photo(path: str | Path, size: tuple[int, int] | None = None) -> np.ndarray:
    """Return the photo as uint8 (H, W, 3) in RGB order, upright as its EXIF orientation says.

    `size` is (height, width) to resize to, bilinear and antialiased; None keeps the photo's own. Of an animation the
    first frame is read, transparency is laid on white, grey of more than 8 bits is scaled to 8. Raises InputError for
    whatever cannot be read as a picture, and for pictures of more than MAX_PIXELS pixels.
    """
    image, _ = _open(Path(path))
    if size is not None and image.size != (size[1], size[0]):
        image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.array(image)


def _open(path: Path) -> tuple[Image.Image, bool]:
    """The photo as RGB, and whether pixels of its file let white through."""
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
                return _to_rgb(ImageOps.exif_transpose(_decoded(image, path)))
    except InputError:
        raise
    except PermissionError:
        raise InputError(f"{path}: no permission to read it; change its rights") from None
    except UnidentifiedImageError:
        raise InputError(f"{path}: this is not a picture in a known format; remove it or copy it again") from None
    except Exception as error:
        # Pillow's decoders meet a damaged file with errors of many kinds (OSError, SyntaxError, struct.error, ...).
        raise InputError(f"{path}: the picture cannot be read ({error}); copy it again or remove it") from None


def _decoded(image: Image.Image, path: Path) -> Image.Image:
    """The picture decoded, and a JPEG of which next to nothing is missing, as well."""
    try:
        image.load()
    except OSError:
        whole = complete(path.read_bytes()) if image.format == "JPEG" else None
        if whole is None:
            raise
        return whole
    return image


def _to_rgb(image: Image.Image) -> tuple[Image.Image, bool]:
    """The picture in RGB, and whether pixels of it let white through."""
    if image.mode.startswith("I"):
        grey = Image.fromarray(_to_bytes(np.asarray(image).astype(np.int64), image.mode))
        return grey.convert("RGB"), False
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers, which have no agreed range")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        on_white = Image.alpha_composite(Image.new("RGBA", image.size, _WHITE), image)
        return on_white.convert("RGB"), bool(np.asarray(image)[..., 3].min() < 255)
    return image.convert("RGB"), False


def _to_bytes(grey: npt.NDArray[np.int64], mode: str) -> npt.NDArray[np.uint8]:
    """Grey of 16 or 32 bits in 8: of 32 bits nothing says how many are used, so the largest number has to."""
    largest = int(grey.max(initial=0))
    bits = 16 if mode != "I" or 255 < largest <= 65535 else 8 if largest <= 255 else 31
    return (grey.clip(0, (1 << bits) - 1) >> (bits - 8)).astype(np.uint8)
