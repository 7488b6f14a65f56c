"""Pictures of items: the worst ones with what was said of them, and small ones on one sheet."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
# zlib's quickest: a sheet is read from this disk, and written while a training waits.
QUICK = 1
SMALLEST, CAPTION, THUMBNAIL = 112, 14, 48


def captioned(picture: Array, caption: str) -> Array:
    """Return a picture ``[height, width, channels]`` with a line of text below it."""
    from PIL import Image, ImageDraw

    image = Image.fromarray(picture.squeeze()).convert("RGB")
    factor = max(1, -(-SMALLEST // image.width))
    image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    sheet = Image.new("RGB", (image.width, image.height + CAPTION), "white")
    sheet.paste(image)
    ImageDraw.Draw(sheet).text((2, image.height + 1), caption, fill="black")
    return np.asarray(sheet)


def thumbnail(pictures: Array) -> tuple[int, int]:
    """Return width and height of each of pictures ``[n, height, width, channels]`` on a sheet."""
    height, width = pictures.shape[1:3]
    factor = min(1.0, THUMBNAIL / max(height, width))
    return max(1, round(width * factor)), max(1, round(height * factor))


def sprite(pictures: Array) -> Any:
    """Return one square sheet of pictures ``[n, height, width, channels]``, an image of
    Pillow's.
    """
    from PIL import Image

    side, size = int(np.ceil(np.sqrt(len(pictures)))), thumbnail(pictures)
    sheet = Image.new("RGB", (side * size[0], side * size[1]))
    for at, picture in enumerate(pictures):
        small = Image.fromarray(picture.squeeze()).convert("RGB").resize(size)
        sheet.paste(small, (at % side * size[0], at // side * size[1]))
    return sheet
