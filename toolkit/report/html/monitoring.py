"""The page of a batch of records: the verdict, and every distribution beside the reference's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import edgekit
from edgekit.report import monitoring as report
from edgekit.report.html.shell import Badge, Page, Section, badge, render
from edgekit.types import Status
from edgekit.types.monitored import Distribution, Monitored, MonitoredRow

# The shapes are drawn in this box; a bin is two bars.
WIDTH, HEIGHT = 320.0, 96.0
TITLES = {
    "input": "Inputs",
    "output": "Outputs",
    "confidence": "Confidence",
    "classes": "Classes",
}
MEANINGS = {
    Status.PASSED: "The model meets what it was measured on, as far as its records tell",
    Status.FAILED: "What is red is large enough to matter, and chance does not explain it",
    Status.INCONCLUSIVE: "Not proven, and not ruled out: more items would tell",
    Status.UNAVAILABLE: "Something that is to be compared is not in the records",
}


@dataclass(frozen=True)
class BarView:
    """A bin: its bars, from the left and from below, and what it holds in words."""

    left: float
    width: float
    reference: float
    batch: float
    text: str


@dataclass(frozen=True)
class ChartView:
    """A comparison with its distributions."""

    name: str
    badge: Badge
    message: str
    figures: str
    bars: tuple[BarView, ...]
    ends: tuple[str, str]
    alt: str


@dataclass(frozen=True)
class RowView:
    """A row of the table of all comparisons."""

    name: str
    kind: str
    badge: Badge
    cells: tuple[str, ...]
    items: str
    reference: str
    message: str


@dataclass(frozen=True)
class VerdictView:
    """The verdict in words, and the rows: what is not passed first."""

    badge: Badge
    meaning: str
    exit_code: int
    rows: tuple[RowView, ...]


@dataclass(frozen=True)
class RecordsView:
    """What was read: devices with their items, and the lines that were not counted."""

    devices: tuple[tuple[str, str], ...]
    refused: tuple[tuple[str, str, str], ...]
    more: int


def page(monitored: Monitored) -> str:
    """Return the page of a batch as one HTML document that loads nothing."""
    title = f"{monitored.name} {monitored.version}"
    subtitle = report.heading(monitored)
    footer = f"edgekit {edgekit.__version__}, golden statistics {monitored.golden[:12]}"
    return render(
        Page(title, subtitle, badge(monitored.status), tuple(_sections(monitored)), footer)
    )


def _sections(monitored: Monitored) -> Iterator[Section]:
    verdict = VerdictView(
        badge(monitored.status),
        MEANINGS.get(monitored.status, ""),
        monitored.exit_code,
        tuple(map(_row, _worst_first(monitored))),
    )
    yield Section("verdict", "Verdict", "monitored.html.j2", verdict)
    for kind, title in TITLES.items():
        charts = tuple(
            _chart(row, row.distribution)
            for row in _worst_first(monitored)
            if row.kind == kind and row.distribution is not None
        )
        if charts:
            yield Section(kind, title, "distributions.html.j2", charts)
    devices = tuple(
        (name or "not named", f"{count:,}") for name, count in monitored.devices.items()
    )
    refused = tuple((f"{one.file}:{one.line}", one.kind, one.reason) for one in monitored.refused)
    more = sum(monitored.refused_kinds.values()) - len(refused)
    yield Section("records", "Records", "records.html.j2", RecordsView(devices, refused, more))


def _worst_first(monitored: Monitored) -> list[MonitoredRow]:
    return sorted(monitored.rows, key=lambda row: -report.LEVELS.get(row.status, 3))


def _row(row: MonitoredRow) -> RowView:
    cells = (
        report.found_text(row),
        report.interval_text(row),
        report.limit_text(row),
        "–" if row.ks is None else f"{row.ks:.3f}",
        report.chance_text(row) or "–",
    )
    reference = f"{row.reference:,}" if row.reference else ""
    mark = badge(row.status)
    return RowView(row.name, row.kind, mark, cells, f"{row.n:,}", reference, row.message)


def _chart(row: MonitoredRow, shown: Distribution) -> ChartView:
    before, now = (_shares(counts) for counts in (shown.reference, shown.batch))
    top = max((*before, *now, 1e-12))
    step = WIDTH / len(shown.bins)
    bars = tuple(
        BarView(
            round(k * step + 0.1 * step, 2),
            round(0.4 * step, 2),
            round(HEIGHT * before[k] / top, 2),
            round(HEIGHT * now[k] / top, 2),
            f"{name}: {before[k]:.1%} of the reference, {now[k]:.1%} of the batch",
        )
        for k, name in enumerate(shown.bins)
    )
    index = "PSI" if row.kind != "classes" else "index"
    figures = f"{index} {report.found_text(row)} {report.interval_text(row)}".strip()
    if row.ks is not None:
        figures += f", KS {row.ks:.3f}"
    alt = f"{row.name}: shares of {len(shown.bins)} bins, reference beside batch"
    ends = (shown.bins[0], shown.bins[-1])
    return ChartView(row.name, badge(row.status), row.message, figures, bars, ends, alt)


def _shares(counts: tuple[int, ...]) -> list[float]:
    total = max(1, sum(counts))
    return [count / total for count in counts]
