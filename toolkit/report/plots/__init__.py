"""Charts as pictures for a slide or a paper: SVG and PNG, drawn by matplotlib."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.errors import PlotsError
from edgekit.report.charts import Absent, Chart, Charts

EXTRA = "edgekit[plots]"
CAPTIONS = "charts.md"
LONGEST = 60


@dataclass(frozen=True)
class Plots:
    """What was drawn into a folder, by file name without its ending; and what was not, and why."""

    folder: Path
    drawn: tuple[str, ...]
    missing: tuple[tuple[str, str], ...]


def require() -> None:
    """Raise :class:`PlotsError` where matplotlib is not installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        message = "plots need matplotlib, which is not installed"
        hint = f"install it: pip install '{EXTRA}'"
        raise PlotsError("EK-PLOTS-001", message, hint) from error


def write(charts: Charts, folder: Path) -> Plots:
    """Draw each chart into a folder as SVG and PNG, and their captions as Markdown.

    The same charts give the same bytes. Raises :class:`PlotsError` without matplotlib.
    """
    require()
    from edgekit.report.plots.style import styled
    from edgekit.store import write_bytes, write_text

    drawn: dict[str, Chart] = {}
    missing = []
    with styled():
        for name, chart in charts.items():
            if isinstance(chart, Absent):
                missing.append((chart.title, chart.reason))
                continue
            stem = _stem(name, drawn)
            for suffix, content in _pictures(chart):
                write_bytes(folder / f"{stem}.{suffix}", content)
            drawn[stem] = chart
    write_text(folder / CAPTIONS, _captions(drawn, missing))
    return Plots(folder, tuple(drawn), tuple(missing))


def _stem(name: str, taken: dict[str, Chart]) -> str:
    """Return the name of a chart as that of a file: ``sizes of int8`` is ``sizes-int8``."""
    plain = re.sub(r"[^A-Za-z0-9._@-]+", "-", name.replace(" of ", "-", 1)).strip("-.")[:LONGEST]
    stem, number = plain, 2
    while stem in taken:
        stem, number = f"{plain}-{number}", number + 1
    return stem


def _pictures(chart: Chart) -> Iterator[tuple[str, bytes]]:
    """Yield a chart as SVG and as PNG, without a date, with its sentence for who cannot see it."""
    from edgekit.report.plots.style import DPI, settle

    figure = settle(_drawer(chart)(chart))
    about = {"Title": chart.title, "Description": chart.text}
    for suffix, more in (
        ("svg", {"Date": None, "Creator": "edgekit"}),
        ("png", {"Software": None}),
    ):
        file = io.BytesIO()
        figure.savefig(file, format=suffix, dpi=DPI, metadata={**about, **more})
        yield suffix, file.getvalue()


def _drawer(chart: Chart) -> Callable[[Any], Any]:
    from edgekit.report.plots import areas, bars, curves, points

    drawers: dict[str, Callable[[Any], Any]] = {
        "pareto": points.pareto,
        "overlay": points.overlay,
        "reliability": points.reliability,
        "budgets": bars.budgets,
        "candidates": bars.candidates,
        "layers": bars.layers,
        "latency": curves.latency,
        "training": curves.training,
        "sizes": areas.sizes,
        "confusion": areas.confusion,
    }
    return drawers[chart.kind]


def _captions(drawn: dict[str, Chart], missing: list[tuple[str, str]]) -> str:
    """Return the pictures in Markdown, each with its sentence, then what was not drawn."""
    lines = ["# Charts", ""]
    for stem, chart in drawn.items():
        lines += [f"## {chart.title}", "", f"![{chart.text}]({stem}.svg)", ""]
    if missing:
        lines += ["## Not drawn", ""]
        lines += [f"- {title}: {reason}" for title, reason in missing]
        lines.append("")
    return "\n".join(lines)
