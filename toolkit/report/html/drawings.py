"""What the script of a page draws: charts and pictures, no more than a page may weigh."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from edgekit.report import charts
from edgekit.report.document import plain
from edgekit.report.html import inputs, models
from edgekit.types import Json, Report
from edgekit.types.details import Details

# Drawn by the script; budgets and candidates stand in tables.
KINDS = ("pareto", "training", "latency", "layers", "sizes", "confusion", "reliability")
# What the page has beside its libraries and its tables: a page is kept below 1.5 MB.
MOST_OF_CHARTS = 330_000
MOST_OF_PICTURES = 330_000
# Of classes whose confusion is drawn.
MOST_CLASSES = 100


def embedded(
    report: Report, details: Details | None, available: charts.Charts
) -> tuple[Mapping[str, Json], Mapping[str, str]]:
    """Return the charts and the pictures of a page by name, the most looked at first."""
    return embedded_of(models.leading(report), details, available)


def embedded_of(
    first: str, details: Details | None, available: charts.Charts
) -> tuple[Mapping[str, Json], Mapping[str, str]]:
    """Return the charts and the pictures of a page whose reader looks for this model first."""
    return _charts(first, details, available), _pictures(first, details)


def _charts(first: str, details: Details | None, available: charts.Charts) -> Mapping[str, Json]:
    names = sorted(available, key=lambda name: " of " in name and not name.endswith(f" of {first}"))
    drawn = {name: _plain(available[name]) for name in names if available[name].kind in KINDS}
    drawn |= inputs.drawings(details)
    kept, left = {}, MOST_OF_CHARTS
    for name, chart in drawn.items():
        left -= len(json.dumps(chart))
        if left < 0:
            break
        kept[name] = chart
    return kept


def _plain(chart: charts.Chart | charts.Absent) -> Json:
    """Return a chart as JSON, without what the script computes."""
    document = plain(chart)
    if isinstance(chart, charts.ConfusionMatrix):
        del document["shares"]
    return document


def _pictures(first: str, details: Details | None) -> Mapping[str, str]:
    if details is None:
        return {}
    kept: dict[str, str] = {}
    left = MOST_OF_PICTURES
    for key in dict.fromkeys(_looked_at(first, details)):
        picture = details.pictures.get(key, "")
        left -= len(picture)
        if left < 0:
            break
        kept[key] = picture
    return kept


def _looked_at(first: str, details: Details) -> Iterator[str]:
    """Yield the keys of the pictures that the page shows, the most looked at first."""
    sides = sorted(details.candidates.items(), key=lambda side: side[0] != first)
    if sides:
        yield from (item.picture for item in sides[0][1].worst_items if item.picture)
    for data in (details.representative, details.evaluated, details.trained):
        for one in data.inputs.values() if data else ():
            yield from one.pictures
    for _, side in (*sides[1:], ("", details.reference)):
        yield from (item.picture for item in side.worst_items if item.picture)
