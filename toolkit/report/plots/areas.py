"""Areas: a treemap of a file's bytes, and the confusion matrix."""

from __future__ import annotations

from typing import Any

from edgekit.report.charts import ConfusionMatrix, Tile, Treemap
from edgekit.report.plots import style

DTYPES = {
    "INT8": style.BLUE,
    "UINT8": style.BLUE,
    "INT4": style.GREEN,
    "INT16": style.SKY,
    "INT32": style.PURPLE,
    "FLOAT16": style.ORANGE,
    "FLOAT32": style.VERMILLION,
}
OTHER = "#b0b0b0"
# Of a character of small type, in inches, and of its line.
WIDE, TALL = 0.082, 0.16
MOST_NUMBERED = 12
MOST_CLASSES_NAMED = 30


def sizes(chart: Treemap) -> Any:
    """Draw a file's layers as tiles, coloured by the type of their weights."""
    width = 6.4
    drawn = style.figure(f"{chart.title} ({_total(chart)})", width, width / chart.aspect + 0.75)
    panel = drawn.subplots()
    style.bare(panel)
    panel.set_axis_off()
    panel.set_xlim(0, 1)
    panel.set_ylim(1, 0)
    for tile in chart.tiles:
        _tile(panel, tile, width, width / chart.aspect)
    named = list(dict.fromkeys(tile.dtype for tile in chart.tiles))
    for at, dtype in enumerate(named[:5]):
        text = dtype.lower() or "not weights"
        color = DTYPES.get(dtype, OTHER)
        panel.text(at / 5, 1.02, f"■ {text}", color=color, va="top", size=style.SMALL)
    return drawn


def _total(chart: Treemap) -> str:
    from edgekit.report import words

    return words.size(chart.total)


def _tile(panel: Any, tile: Tile, width: float, height: float) -> None:
    from matplotlib.patches import Rectangle

    color = DTYPES.get(tile.dtype, OTHER)
    place = (tile.x, tile.y)
    panel.add_patch(Rectangle(place, tile.width, tile.height, fc=color, ec="#ffffff", lw=1))
    wide, tall = tile.width * width - 0.1, tile.height * height - 0.1
    letters, lines = int(wide / WIDE), int(tall / TALL)
    if letters < 4 or lines < 1:
        return
    texts = [tile.layer or tile.operator, tile.text, tile.operator if tile.layer else ""]
    shown = [style.cut(text, letters) for text in texts[: max(1, lines)]]
    panel.text(
        tile.x + 0.06 / width,
        tile.y + 0.06 / height,
        "\n".join(shown),
        va="top",
        color=style.text_color(color),
        size=7.5,
        linespacing=1.2,
    )


def confusion(chart: ConfusionMatrix) -> Any:
    """Draw what is right in blue and what is confused in red, however little it is."""
    count = len(chart.labels)
    side = min(7.0, max(3.8, 1.6 + 0.36 * count))
    drawn = style.figure(chart.title, side, side)
    panel = drawn.subplots()
    style.bare(panel)
    panel.set_aspect("equal")
    panel.set_xlim(-0.5, count - 0.5)
    panel.set_ylim(count - 0.5, -0.5)
    most = max(
        (s for i, row in enumerate(chart.shares) for j, s in enumerate(row) if i != j), default=0
    )
    for row, shares in enumerate(chart.shares):
        for column, share in enumerate(shares):
            if chart.counts[row][column]:
                _cell(panel, chart, row, column, share if row == column else share / most)
    step = max(1, -(-count // MOST_CLASSES_NAMED))
    longest = max((len(name) for name in chart.labels[::step]), default=0)
    names = [style.cut(name, 14) for name in chart.labels[::step]]
    panel.set_xticks(range(0, count, step), names, rotation=90 if longest > 3 else 0)
    panel.set_yticks(range(0, count, step), names)
    style.label(panel, chart.x, chart.y)
    return drawn


def _cell(panel: Any, chart: ConfusionMatrix, row: int, column: int, strength: float) -> None:
    from matplotlib.patches import Rectangle

    color = style.BLUE if row == column else style.VERMILLION
    alpha = 0.12 + 0.83 * strength
    place = (column - 0.48, row - 0.48)
    panel.add_patch(Rectangle(place, 0.96, 0.96, fc=color, alpha=alpha, lw=0))
    if len(chart.labels) <= MOST_NUMBERED:
        ink = "#ffffff" if alpha > 0.55 else style.INK
        text = f"{chart.counts[row][column]:,}"
        panel.text(column, row, text, ha="center", va="center", color=ink, size=style.SMALL)
