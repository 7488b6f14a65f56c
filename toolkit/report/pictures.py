"""The worst images on one sheet, each with its label and the answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import DataError

Array = npt.NDArray[Any]
COLUMNS = 5
SIDE = 144
MARGIN = 12
# Images of whose values none is above are not of 0..255; and how many of them are looked at.
DARK = 128
LOOKED_AT = 1000
TEXT = 14
LINE = 18
PAPER, INK, WRONG, FAINT = "#ffffff", "#1a1a1a", "#b00020", "#6b6b6b"


def draw(
    items: Sequence[int],
    images: Sequence[Array],
    labels: Sequence[str],
    answers: Sequence[str],
    path: Path,
    most: float | None = None,
) -> None:
    """Write a PNG of the images in rows of five, item number, label and answer under each.

    Images are ``[h, w]``, ``[h, w, 1]`` or ``[h, w, 3]``, uint8 or float: floats within 0..1 or
    0..255 are drawn in that range, others from their smallest to their largest value. ``most``, as
    :func:`largest` finds it, is white instead of 255. Raises :class:`DataError` where an array is
    no image.
    """
    from PIL import Image, ImageDraw, ImageFont

    cell = SIDE + 2 * MARGIN, SIDE + 3 * LINE + 2 * MARGIN
    columns = min(COLUMNS, len(items))
    rows = math.ceil(len(items) / COLUMNS)
    sheet = Image.new("RGB", (max(1, columns) * cell[0], max(1, rows) * cell[1]), PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(TEXT)
    for number, (item, image) in enumerate(zip(items, images, strict=True)):
        row, column = divmod(number, COLUMNS)
        x, y = column * cell[0] + MARGIN, row * cell[1] + MARGIN
        drawn = Image.fromarray(pixels(image, most))
        scale = SIDE / max(drawn.size)
        size = max(1, round(drawn.width * scale)), max(1, round(drawn.height * scale))
        # Small images stay as sharp as the model sees them.
        kind = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.LANCZOS
        sheet.paste(drawn.resize(size, kind), (x + (SIDE - size[0]) // 2, y))
        for line, (text, ink) in enumerate(_words(item, labels[number], answers[number])):
            fitting = _cut(text, font.getlength)
            pen.text((x, y + SIDE + 4 + line * LINE), fitting, fill=ink, font=font)
    sheet.save(path, "PNG", optimize=False)


def _words(item: int, label: str, answer: str) -> Iterator[tuple[str, str]]:
    yield f"item {item}", FAINT
    yield f"label {label}", INK
    yield f"predicted {answer}", WRONG


def _cut(text: str, length: Callable[[str], float]) -> str:
    """Shorten a line to what fits under an image."""
    kept = text
    while kept and length(kept if kept == text else f"{kept}…") > SIDE:
        kept = kept[:-1]
    return kept if kept == text else f"{kept}…"


def largest(images: Array) -> float | None:
    """Return the largest value of images ``[n, ...]`` that begin at 0 and end well below 255 and
    above 1, such as 0..16: in 0..255 they would be drawn nearly black.
    """
    if images.dtype.kind not in "iuf" or not len(images):
        return None
    looked = np.asarray(images[:: max(1, len(images) // LOOKED_AT)])
    low, high = float(np.nanmin(looked)), float(np.nanmax(looked))
    return high if low >= 0 and 1 < high < DARK else None


def pixels(image: Array, most: float | None = None) -> npt.NDArray[np.uint8]:
    """Return an image as uint8 ``[h, w]`` or ``[h, w, 3]``. Raises :class:`DataError` for no
    image.
    """
    array = np.asarray(image)
    shaped = array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
    colour = shaped.ndim == 3 and shaped.shape[2] == 3
    if not (shaped.ndim == 2 or colour) or shaped.dtype.kind not in "iubf" or shaped.size == 0:
        message = f"an array of {array.dtype} {list(array.shape)} cannot be drawn"
        raise DataError("EK-DATA-044", message, "images are [h, w], [h, w, 1] or [h, w, 3]")
    if shaped.dtype == np.uint8 and most is None:
        return np.ascontiguousarray(shaped)
    values = shaped.astype(np.float64)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if low >= 0 and high <= 255:
        own = 255.0 if high > 1 else 1.0
        low, high = 0.0, most if most is not None and high <= most else own
    scaled = (values - low) / (high - low if high > low else 1.0) * 255
    return np.ascontiguousarray(np.rint(np.nan_to_num(scaled)).astype(np.uint8))
