"""How all plots look: colours, type, axes, and labels that keep out of each other's way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from edgekit.report.charts import Axis, Reading

# Of Okabe and Ito (2008), told apart with any colour vision.
BLUE, VERMILLION, GREEN, ORANGE = "#0072b2", "#d55e00", "#009e73", "#e69f00"
SKY, PURPLE, BLACK = "#56b4e9", "#cc79a7", "#1a1a1a"
INK, FAINT, PALE = "#1a1a1a", "#767676", "#dcdcdc"
SERIES = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK)
# Inches: text of 10 points is still 7 where a picture is set at the width of a paper's column.
WIDTH, HEIGHT = 5.2, 3.4
DPI = 220
SMALL, NORMAL, LARGE = 9, 10, 11.5
SETTINGS = {
    "font.family": "DejaVu Sans",
    "font.size": NORMAL,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "text.color": INK,
    # Names of elements that are the same every time.
    "svg.hashsalt": "edgekit",
    "svg.fonttype": "path",
    "path.simplify": False,
}


@contextmanager
def styled() -> Iterator[None]:
    """Draw in this style, whatever the user's own settings are."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)
        yield


def figure(title: str, width: float = WIDTH, height: float = HEIGHT) -> Any:
    """Return an empty figure with its title, which a canvas without a screen draws."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(made)
    made.suptitle(cut(title, round(width * 11)), x=0.02, ha="left", size=LARGE, weight="bold")
    return made


def settle(figure: Any) -> Any:
    """Lay a figure out once, not again for each file that it is written to."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure


def bare(panel: Any, *sides: str) -> None:
    """Leave out the frame of a panel but for the sides that are named."""
    for side in ("top", "right", "left", "bottom"):
        panel.spines[side].set_visible(side in sides)
    panel.tick_params(length=3 if sides else 0, labelsize=SMALL)


def label(panel: Any, x: Axis | None, y: Axis | None) -> None:
    """Write the labels of the axes, with their units."""
    if x is not None:
        panel.set_xlabel(x.label)
    if y is not None:
        panel.set_ylabel(y.label)


def ends(reading: Reading, axis: Axis, low: float, high: float) -> tuple[float, float] | None:
    """Return an interval on an axis, cut off at its limits where it is unbounded."""
    if not reading.bounds:
        return None
    begin = low if reading.low is None else max(low, reading.low * axis.factor)
    end = high if reading.high is None else min(high, reading.high * axis.factor)
    return begin, end


def span(readings: Sequence[Reading], factor: float) -> tuple[float, float]:
    """Return the least and the most that readings and their intervals reach, with some room."""
    values = [v for r in readings for v in (r.value, r.low, r.high) if v is not None]
    low, high = min(values) * factor, max(values) * factor
    room = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
    return low - room, high + room


def cut(text: str, most: int) -> str:
    """Shorten a text in its middle: names of models differ at both ends."""
    if len(text) <= most:
        return text
    head = (most - 1) // 2
    return f"{text[:head]}…{text[len(text) - (most - 1 - head) :]}"


def text_color(background: str) -> str:
    """Return the ink that can be read on a colour."""
    red, green, blue = (int(background[at : at + 2], 16) for at in (1, 3, 5))
    return INK if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "#ffffff"


# Offsets from its point that a label tries, in points: beside it, above, below, and further off.
PLACES = (
    (7, 0, "left", "center"),
    (0, 8, "center", "bottom"),
    (0, -8, "center", "top"),
    (-7, 0, "right", "center"),
    (6, 7, "left", "bottom"),
    (6, -7, "left", "top"),
    (-6, 7, "right", "bottom"),
    (-6, -7, "right", "top"),
    (0, 22, "center", "bottom"),
    (0, -22, "center", "top"),
    (14, 26, "left", "bottom"),
    (14, -26, "left", "top"),
    (-14, 26, "right", "bottom"),
    (-14, -26, "right", "top"),
    (20, 44, "left", "bottom"),
    (20, -44, "left", "top"),
)


class Labels:
    """Texts beside points of a panel, none of which covers another or leaves the panel.

    What cannot be avoided, such as a line, is hidden by a rim of paper around the letters.
    """

    def __init__(self, panel: Any) -> None:
        self._panel = panel
        self._taken: list[Any] = []
        panel.figure.draw_without_rendering()

    def keep_clear(self, x: float, y: float, radius: float = 5) -> None:
        """Let no label cover a point."""
        from matplotlib.transforms import Bbox

        at = self._panel.transData.transform((x, y))
        reach = radius * self._panel.figure.dpi / 72
        self._taken.append(Bbox([at - reach, at + reach]))

    def add(self, points: Sequence[tuple[float, float]], text: str, **style: Any) -> None:
        """Write a text beside the first of some points that has room for it."""
        from matplotlib.patheffects import withStroke

        rim = withStroke(linewidth=2.5, foreground="#ffffff")
        given = {"fontsize": SMALL, "linespacing": 1.15, "path_effects": [rim], **style}
        best: tuple[float, Any] | None = None
        for point in points:
            for dx, dy, horizontal, vertical in PLACES:
                made = self._panel.annotate(
                    text,
                    point,
                    (dx, dy),
                    textcoords="offset points",
                    ha=horizontal,
                    va=vertical,
                    zorder=5,
                    **given,
                )
                made.set_in_layout(False)
                cost = self._cost(made)
                if best is not None and best[0] <= cost:
                    made.remove()
                    continue
                if best is not None:
                    best[1].remove()
                best = (cost, made)
                if not cost:
                    break
            if best is not None and not best[0]:
                break
        if best is not None:
            self._taken.append(self._extent(best[1]))

    def _extent(self, text: Any) -> Any:
        return text.get_window_extent(self._panel.figure.canvas.get_renderer())

    def _cost(self, text: Any) -> float:
        """Return how much of a text lies on others or outside the panel, in pixels squared."""
        from matplotlib.transforms import Bbox

        own, frame = self._extent(text), self._panel.bbox.padded(8)
        inside = Bbox.intersection(own, frame)
        area = own.width * own.height
        cost = 4 * (area - (inside.width * inside.height if inside is not None else 0.0))
        for other in self._taken:
            shared = Bbox.intersection(own, other)
            cost += shared.width * shared.height if shared is not None else 0.0
        return max(0.0, cost if cost > 1e-6 * area else 0.0)
