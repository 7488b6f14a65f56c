"""What the script of a page draws: the charts of a run as JSON, no more than a page may weigh."""

from __future__ import annotations

from collections.abc import Mapping

from edgekit.report import charts
from edgekit.report.document import plain
from edgekit.types import Json

# Drawn by the script; budgets and candidates stand in tables.
KINDS = ("pareto", "latency", "layers", "sizes", "confusion", "reliability")


def drawn(found: charts.Charts) -> Mapping[str, Json]:
    """Return the charts that there is something to draw for, by name."""
    return {name: plain(chart) for name, chart in found.items() if chart.kind in KINDS}
