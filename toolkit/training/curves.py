"""The figures of a training over its epochs, as a picture that needs nothing to be drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

HELD_OUT = "val_"
WIDTH, HEIGHT, LEFT, TOP, RIGHT, BELOW = 640, 150, 70, 26, 16, 22
TRAINING, VALIDATION, GREY = "#1f77b4", "#d95f02", "#777777"
Point = tuple[int, float]


def curves(rows: Sequence[Mapping[str, float]]) -> str:
    """Return an SVG with a panel for each figure, the loss first: its values on training items, and
    on validation items where there are any.

    Rows are epochs. Values that are not finite are gaps.
    """
    names = dict.fromkeys(name.removeprefix(HELD_OUT) for row in rows for name in row)
    ordered = sorted(names, key=lambda name: name != "loss")
    panels = [_panel(rows, name, at * HEIGHT) for at, name in enumerate(ordered)]
    height = HEIGHT * len(ordered) + 2 * BELOW
    last = f"epochs 1 to {len(rows):,}"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
            f' width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="12">',
            f"<title>{', '.join(map(escape, ordered))} over {len(rows):,} epochs</title>",
            f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
            *panels,
            f'<text x="{LEFT}" y="{height - BELOW}" fill="{TRAINING}">training</text>',
            f'<text x="{LEFT + 70}" y="{height - BELOW}" fill="{VALIDATION}">validation</text>',
            f'<text x="{WIDTH - RIGHT}" y="{height - BELOW}" text-anchor="end"'
            f' fill="{GREY}">{last}</text>',
            "</svg>\n",
        ]
    )


def _panel(rows: Sequence[Mapping[str, float]], name: str, top: int) -> str:
    """Draw one figure: both its curves on one axis, with the least and the greatest value."""
    sides = [(_points(rows, name), TRAINING), (_points(rows, HELD_OUT + name), VALIDATION)]
    values = [value for points, _ in sides for _, value in points]
    drawn = [f'<text x="{LEFT}" y="{top + TOP - 8}" font-weight="bold">{escape(name)}</text>']
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    bottom, across = top + HEIGHT - BELOW, WIDTH - RIGHT
    drawn.append(f'<path d="M{LEFT} {top + TOP}V{bottom}H{across}" fill="none" stroke="{GREY}"/>')

    def place(epoch: int, value: float) -> tuple[float, float]:
        x = LEFT + (across - LEFT) * (epoch - 1) / max(1, len(rows) - 1)
        share = (value - low) / (high - low) if high > low else 0.5
        return round(x, 1), round(bottom - share * (HEIGHT - TOP - BELOW), 1)

    for value, y in ((high, top + TOP + 4), (low, bottom + 4)) if values else ():
        drawn.append(
            f'<text x="{LEFT - 6}" y="{y}" text-anchor="end" fill="{GREY}">{value:.3g}</text>'
        )
    for points, color in sides:
        places = [place(*point) for point in points]
        line = " ".join(f"{x},{y}" for x, y in places)
        drawn.append(f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="1.5"/>')
        drawn += [f'<circle cx="{x}" cy="{y}" r="2" fill="{color}"/>' for x, y in places]
    return "\n".join(drawn)


def _points(rows: Sequence[Mapping[str, float]], name: str) -> list[Point]:
    """Return the epochs that have a finite value of a figure, and these."""
    found = ((epoch, row.get(name, math.nan)) for epoch, row in enumerate(rows, 1))
    return [(epoch, float(value)) for epoch, value in found if math.isfinite(value)]
