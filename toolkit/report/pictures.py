"""The worst images on one sheet, each with its label and the answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from edgekit.data.pixels import Array, pixels

COLUMNS = 5
SIDE = 144
MARGIN = 12
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
    0..255 are drawn in that range, others from their smallest to their largest value. ``most``, of
    :func:`edgekit.data.pixels.largest`, is white instead of 255. Raises :class:`DataError` where an
    array is not an image.
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
