"""A contact sheet: rows of pictures with a label beside each row a title over each column, a caption under each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

_SHORTEST = 128
_GAP = 4
_LETTER = 7
_LINE = 14


def contact_sheet(
    rows: Sequence[Sequence[npt.NDArray[np.uint8]] | npt.NDArray[np.uint8]],
    labels: Sequence[str] = (),
    titles: Sequence[str] = (),
    enlarged: bool = True,
    captions: Sequence[Sequence[str]] = (),
) -> Image.Image:
    """Lay pictures, uint8 (H, W, 3) all of one size, in rows of any lengths.

    `labels`, of one line or several, stand left of the rows, `titles` over the columns, `captions`, a row of them a row
    of pictures, under the pictures; small pictures are `enlarged` by a whole factor.
    """
    height, width = rows[0][0].shape[:2]
    factor = max(1, -(-_SHORTEST // height)) if enlarged else 1
    height, width = height * factor, width * factor
    left = _LETTER * max((len(line) for label in labels for line in label.splitlines()), default=0) + _GAP
    top = _LINE + _GAP if titles else _GAP
    pitch = height + _GAP + (_LINE if captions else 0)
    columns = max(len(row) for row in rows)
    sheet = Image.new("RGB", (left + columns * (width + _GAP), top + len(rows) * pitch), "white")
    draw = ImageDraw.Draw(sheet)
    for column, title in enumerate(titles):
        draw.text((left + column * (width + _GAP), _GAP), title, fill="black")
    for number, row in enumerate(rows):
        y = top + number * pitch
        if number < len(labels):
            draw.text((_GAP, y), labels[number], fill="black")
        for column, picture in enumerate(row):
            pixels = np.repeat(np.repeat(picture, factor, 0), factor, 1)
            sheet.paste(Image.fromarray(pixels), (left + column * (width + _GAP), y))
        for column, caption in enumerate(captions[number] if captions else ()):
            draw.text((left + column * (width + _GAP), y + height), caption, fill="black")
    return sheet
