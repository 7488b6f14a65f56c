"""Items as small pictures, for pages: which arrays are pictures, and PNGs of them."""

from __future__ import annotations

import base64
import io

import numpy as np

from edgekit.data.pixels import Array, pixels

SIDE = 96
# A photo of that side in so many colours takes a third of the bytes, and looks the same.
COLORS = 64
# What is smaller is a series or a table, not a picture.
LEAST = 8
CHANNELS = (1, 3)


def is_picture(shape: tuple[int, ...]) -> bool:
    """Tell whether an item of this shape can be drawn: ``[h, w]``, or with 1 or 3 channels last or
    first.
    """
    sides = shape[:2] if len(shape) == 2 else _sides(shape) if len(shape) == 3 else ()
    return len(sides) == 2 and min(sides) >= LEAST


def _sides(shape: tuple[int, ...]) -> tuple[int, ...]:
    if shape[2] in CHANNELS:
        return shape[:2]
    return shape[1:] if shape[0] in CHANNELS else ()


def thumbnail(image: Array, most: float | None = None) -> str:
    """Return a PNG in base64, at most 96 pixels high and wide; a smaller image keeps its pixels.

    ``most`` is as :func:`edgekit.data.pixels.largest` finds it. Raises :class:`DataError` where the
    array is not an image.
    """
    from PIL import Image

    array = np.asarray(image)
    if array.ndim == 3 and array.shape[2] not in CHANNELS and array.shape[0] in CHANNELS:
        array = np.moveaxis(array, 0, 2)
    drawn = Image.fromarray(pixels(array, most))
    if max(drawn.size) > SIDE:
        drawn.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    if drawn.mode == "RGB":
        drawn = drawn.quantize(COLORS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    content = io.BytesIO()
    drawn.save(content, "PNG", optimize=True)
    return base64.b64encode(content.getvalue()).decode()
