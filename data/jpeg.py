"""JPEGs that end too early: which of them are pictures all the same, since next to nothing is missing."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

import numpy as np
from PIL import Image

_END = b"\xff\xd9"
_START_OF_SCAN = 0xDA
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a length
_COEFFICIENTS = 64  # of a block
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")

_FILLING = np.random.default_rng(0).integers(0, 0xFF, 1 << 12, dtype=np.uint8).tobytes()  # holds no marker
_LAST_ROWS = 34  # two rows of blocks, and what the colours of the lower one reach into


def complete(content: bytes) -> Image.Image | None:
    """Decode a JPEG that lacks its end, or give None if more than its last rows of blocks would be made up.

    With its end marked, the decoder makes up whatever is missing. From which row on it does so shows when random bytes
    are put where the file stops: they change just that. Of a progressive JPEG each scan refines the whole picture, so
    the last one must have begun, too (ITU-T T.81, annex G: every coefficient down to its lowest bit).

    Args:
        content: the file.
    """
    held = content.rstrip(b"\xff")
    if content.endswith(_END) or not _all_scans_begun(held):
        return None
    whole, filled = (Image.open(io.BytesIO(held + filling + _END)) for filling in (b"", _FILLING))
    made_up = (np.asarray(whole) != np.asarray(filled)).reshape(whole.height, -1).any(1)
    first = int(made_up.argmax()) if made_up.any() else whole.height
    return whole if first >= whole.height - min(_LAST_ROWS, whole.height // 4) else None


def _all_scans_begun(content: bytes) -> bool:
    """Whether each component's every coefficient is given to its lowest bit by some scan that is there."""
    lacking: set[tuple[int, int]] = set()
    for marker, fields in _segments(content):
        if marker in _FRAMES:
            lacking = {(component, k) for component in fields[6::3] for k in range(_COEFFICIENTS)}
        elif marker == _START_OF_SCAN and len(fields) >= 4:
            *components, first, last, bits = fields[1:]
            if not bits & 0x0F:
                lacking -= {(component, k) for component in components[::2] for k in range(first, last + 1)}
    return not lacking


def _segments(content: bytes) -> Iterator[tuple[int, bytes]]:
    """The segments of a JPEG file: marker and what follows its length."""
    at = 2
    while found := _NEXT_MARKER.search(content, at):
        marker, at = content[found.start() + 1], found.end()
        if marker in _ALONE:
            continue
        length = int.from_bytes(content[at : at + 2], "big")
        if at + length > len(content):
            return
        yield marker, content[at + 2 : at + length]
        at += length
