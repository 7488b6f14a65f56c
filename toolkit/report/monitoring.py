"""What the records of a deployed model say: a table, lines, JSON, Markdown, and Prometheus text."""

from __future__ import annotations

from collections.abc import Iterator

from edgekit.errors import RecordError
from edgekit.report import words
from edgekit.report.document import plain
from edgekit.report.grid import Row, grid
from edgekit.report.table import MARKS
from edgekit.types import Json, Status
from edgekit.types.monitored import Monitored, MonitoredRow

SCHEMA_VERSION = 1
HEADINGS = (
    ("what", "of"),
    ("found", "95 %"),
    ("limit", ""),
    ("KS", ""),
    ("p", "adjusted"),
    ("items", "reference"),
    ("status", ""),
)
# What is left out where a terminal is too narrow for all.
DROP = ("KS", "p", "items")
# So many are named in a line.
NAMED = 6
# What Prometheus calls each status: higher is worse.
LEVELS = {
    Status.PASSED: 0,
    Status.NOT_EVALUATED: 0,
    Status.INCONCLUSIVE: 1,
    Status.UNAVAILABLE: 2,
    Status.FAILED: 3,
}

Line = tuple[str, str]


def to_json(monitored: Monitored) -> dict[str, Json]:
    """Return the verdict with every row and its distributions."""
    document: dict[str, Json] = plain(monitored)
    return {"schema_version": SCHEMA_VERSION, **document}


def table(monitored: Monitored, every: bool = False) -> object:
    """Build the table: what is not passed first; with ``every`` what is passed too."""
    shown = monitored.rows if every else _notable(monitored)
    return grid(HEADINGS, map(_row, shown), DROP)


def _notable(monitored: Monitored) -> list[MonitoredRow]:
    """Return the rows to show: what is not passed, and of what passed the furthest of each kind."""
    kept = [row for row in monitored.rows if row.status is not Status.PASSED]
    kinds = {row.kind for row in kept}
    for kind in dict.fromkeys(row.kind for row in monitored.rows):
        passed = [row for row in monitored.rows if row.kind == kind and kind not in kinds]
        kept += sorted(passed, key=_found, reverse=True)[:1]
    return [row for row in monitored.rows if row in kept]


def _found(row: MonitoredRow) -> float:
    return (row.measured.value or 0.0) if row.measured is not None else 0.0


def _row(row: MonitoredRow) -> Row:
    mark, style = MARKS[row.status]
    return Row(
        (
            (row.name, row.kind),
            (found_text(row), interval_text(row)),
            (limit_text(row), ""),
            ("" if row.ks is None else f"{row.ks:.3f}", ""),
            (chance_text(row), ""),
            (f"{row.n:,}", f"{row.reference:,}" if row.reference else ""),
            (mark, ""),
        ),
        style,
    )


def found_text(row: MonitoredRow) -> str:
    """Return what was found: an index, a ratio of times, or a share."""
    measured = row.measured
    if measured is None or measured.value is None:
        return words.NONE
    if measured.unit == "share":
        return f"{measured.value * 100:.2f} %"
    return f"x{measured.value:.3g}" if measured.unit == "ratio" else f"{measured.value:.3f}"


def interval_text(row: MonitoredRow) -> str:
    """Return the interval of what was found; a bound that is not known is not a number."""
    measured = row.measured
    if measured is None or measured.value is None:
        return ""
    scale, form = (100, ".2f") if measured.unit == "share" else (1, ".3f")
    low, high = (
        words.NONE if each is None else f"{each * scale:{form}}"
        for each in (measured.low, measured.high)
    )
    return f"[{low}, {high}]"


def limit_text(row: MonitoredRow) -> str:
    """Return the limit in the unit of what was found."""
    if row.limit is None:
        return ""
    if row.kind in ("errors", "uncounted"):
        return f"{row.limit * 100:.3g} %"
    return f"x{row.limit:.3g}" if row.kind == "latency" else f"{row.limit:.3g}"


def chance_text(row: MonitoredRow) -> str:
    """Return the adjusted probability; empty where nothing was tested."""
    if row.p is None:
        return ""
    return "< 1e-9" if row.p < 1e-9 else f"{row.p:.2g}"


def lines(monitored: Monitored, quiet: bool = False) -> Iterator[Line]:
    """Yield what is not passed and why, the lines that were refused, and the verdict."""
    failed = [row for row in monitored.rows if row.status is Status.FAILED]
    if failed:
        yield f"{_many(failed, monitored)} failed: {_names(failed)}", "red"
        for row in failed:
            if row.distribution is None:
                yield f"{row.name}: {row.message}", "red"
    for row in monitored.rows:
        if row.status is Status.UNAVAILABLE:
            yield f"{row.name}: {row.message}", "yellow"
    yield from _open(monitored)
    if not quiet:
        for row in monitored.rows:
            if row.status is Status.NOT_EVALUATED:
                yield f"{row.name}: {row.message}", ""
    for line in monitored.refused:
        yield f"{line.file}:{line.line}: not counted, {line.kind}: {line.reason}", "yellow"
    more = sum(monitored.refused_kinds.values()) - len(monitored.refused)
    if more > 0:
        yield f"{more:,} more lines were not counted", "yellow"
    if monitored.raw_items:
        text = f"{monitored.raw_items:,} raw items, of {monitored.raw_seen:,} that were met,"
        yield f"{text} are in these files: they may hold personal data", "yellow"
    verdict, style = MARKS[monitored.status]
    yield f"{verdict}: {heading(monitored)}", f"bold {style}"


def _open(monitored: Monitored) -> Iterator[Line]:
    """Yield what is inconclusive, and how many items would settle it."""
    waiting = [row for row in monitored.rows if row.status is Status.INCONCLUSIVE]
    if not waiting:
        return
    yield f"{_many(waiting, monitored)} inconclusive: {_names(waiting)}", "yellow"
    settled = [row.settles for row in waiting if row.settles is not None]
    if settled and max(settled) > max(row.n for row in waiting):
        yield f"too few items: about {max(settled):,} would settle it", "yellow"
    for row in waiting:
        if row.settles is None and row.message:
            yield f"{row.name}: {row.message}", "yellow"


def _many(rows: list[MonitoredRow], monitored: Monitored) -> str:
    return f"{len(rows)} of {len(monitored.rows)} comparisons"


def _names(rows: list[MonitoredRow]) -> str:
    """Return the names of rows, of the first of them where they are many."""
    names = [row.name for row in rows]
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f", and {more} more" if more > 0 else "")


def heading(monitored: Monitored) -> str:
    """Return what was judged, in a sentence."""
    when = f", {monitored.began} to {monitored.ended}" if monitored.began else ""
    windows = f"{monitored.windows:,} window{'' if monitored.windows == 1 else 's'}"
    counted = f"{monitored.items:,} items in {windows}{when}"
    return f"{monitored.name} {monitored.version}, {counted}, against {monitored.reference}"


def markdown(monitored: Monitored) -> str:
    """Return the verdict and a table as Markdown."""
    text = [f"## {MARKS[monitored.status][0]}: {_cell(heading(monitored))}", ""]
    text += [
        "| what | found | 95 % | limit | KS | p | items | status |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for row in monitored.rows:
        cells = (
            row.name,
            found_text(row),
            interval_text(row),
            limit_text(row),
            "" if row.ks is None else f"{row.ks:.3f}",
            chance_text(row),
            f"{row.n:,}",
            MARKS[row.status][0] + (f": {row.message}" if row.message else ""),
        )
        text.append(f"| {' | '.join(map(_cell, cells))} |")
    text += [""]
    text += [
        f"- {_cell(f'{one.file}:{one.line}: {one.kind}: {one.reason}')}"
        for one in monitored.refused
    ]
    return "\n".join(text).rstrip() + "\n"


def _cell(text: str) -> str:
    """Return a text that is only a text in Markdown."""
    for character in "\\`*_[]<>|&#":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())


def prometheus(monitored: Monitored) -> str:
    """Return the figures as Prometheus reads them. Raises :class:`RecordError` without its client.

    A status is 0 where it passed, 1 inconclusive, 2 unavailable, 3 failed.
    """
    try:
        from prometheus_client import CollectorRegistry, Gauge, generate_latest
    except ImportError as error:
        message = "the text for Prometheus needs prometheus-client, which is not installed"
        hint = "install it: pip install 'edgekit[serve]'"
        raise RecordError("EK-RECORD-023", message, hint) from error
    registry = CollectorRegistry()
    model = {"model": monitored.name, "version": monitored.version}

    def gauge(name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"edgekit_monitor_{name}", text, [*model, *labels], registry=registry)

    gauge("status", "0 passed, 1 inconclusive, 2 unavailable, 3 failed").labels(**model).set(
        LEVELS.get(monitored.status, 3)
    )
    for name, count in (("items", monitored.items), ("windows", monitored.windows)):
        gauge(name, f"{name} that were counted").labels(**model).set(count)
    refused = gauge("refused_lines", "lines of records that were not counted", "kind")
    for kind, count in monitored.refused_kinds.items():
        refused.labels(**model, kind=kind).set(count)
    named = ("kind", "name")
    gauges = {
        "check_status": gauge("check_status", "as status, of one comparison", *named),
        "value": gauge("value", "what was found: PSI, ratio of times, or share", *named),
        "limit": gauge("limit", "what it is held against", *named),
        "ks": gauge("ks", "Kolmogorov-Smirnov distance at the edges of the bins", *named),
    }
    for row in monitored.rows:
        figures = {
            "check_status": float(LEVELS.get(row.status, 3)),
            "value": row.measured.value if row.measured else None,
            "limit": row.limit,
            "ks": row.ks,
        }
        for name, value in figures.items():
            if value is not None:
                gauges[name].labels(**model, kind=row.kind, name=row.name).set(value)
    return str(generate_latest(registry).decode())
