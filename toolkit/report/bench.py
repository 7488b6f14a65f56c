"""The report of ``edgekit bench``: a table, lines on conditions and details, JSON and CSV.

JSON and CSV also have the field names of the platform's own tools, so that old dashboards read
them: ``ai_edge_litert/tools/benchmark_litert_model.py`` (``latency.init_ms`` …) and TensorFlow
Lite's ``benchmark_model`` ("Inference timings in us", in its README).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

from edgekit.report import words
from edgekit.report.document import plain
from edgekit.report.grid import Row, grid, single_lines
from edgekit.report.table import MARKS
from edgekit.store import write_text
from edgekit.types import (
    Benched,
    BenchMemory,
    BenchReport,
    Conditions,
    Json,
    Measurement,
    Profile,
    Status,
)

SCHEMA_VERSION = 1
WIDEST = 60
# The place of this host.
HERE = "local"
OPERATORS = 10
HEADINGS = (
    ("model", "device"),
    ("threads", "batch"),
    ("load", "first"),
    ("p50", "95 % interval"),
    ("p90", "p99"),
    ("mean", "MAD"),
    ("memory", "planned"),
    ("runs", "launches"),
    ("inputs", ""),
)
PROFILE = (("operator", ""), ("time", ""), ("share", ""), ("run by", ""))
# What is left out where a terminal is too narrow for all, first to last.
DROP = ("runs", "mean", "load", "threads", "p90", "memory")
CSV = (
    "model device runtime version accelerators num_threads batch delegate inputs status init_ms"
    " warmup_first_ms warmup_avg_ms num_warmup_runs avg_ms min_ms max_ms median_ms median_low_ms"
    " median_high_ms std_ms p5_ms p90_ms p95_ms p99_ms mad_ms num_runs peak_rss_bytes arena_bytes"
    " address estimates problem"
).split()
# Columns that have the name and the value of the row's own field.
OWN = "device runtime version batch delegate inputs address estimates problem".split()
# Fields of a latency by the names that the platform's tool gives them.
FIGURES = {
    "avg_ms": "mean",
    "min_ms": "min",
    "max_ms": "max",
    "median_ms": "p50",
    "std_ms": "std",
    "p5_ms": "p5",
    "p95_ms": "p95",
}

Line = tuple[str, str]


def to_json(done: BenchReport) -> dict[str, Json]:
    """Return the whole report, each row with the fields of the platform's tools.

    The path of the timed runs counts from the run's folder, so that the folder may move.
    """
    document: dict[str, Json] = plain(done)
    for row, benched in zip(document["rows"], done.rows, strict=True):
        row["platform"] = platform(benched)
        if benched.latency is not None and benched.latency.path is not None:
            row["latency"]["path"] = "/".join(benched.latency.path.parts[-2:])
    return {"schema_version": SCHEMA_VERSION, **document}


def platform(row: Benched) -> dict[str, Json] | None:
    """Return a row in the field names of the platform's tools; None where nothing was measured."""
    if row.latency is None or row.phases is None:
        return None
    phases, latency = row.phases, row.latency
    return {
        "benchmark_litert_model": {
            "model": row.source,
            "model_size_mb": round(row.bytes / 2**20, 2),
            "accelerators": ["CPU"],
            "num_threads": row.threads,
            "latency": _milliseconds(row),
        },
        "benchmark_model": {
            "Init": _in(phases.load, 1e3),
            "First inference": _in(phases.first, 1e3),
            "Warmup (avg)": _in(phases.warmup, 1e3),
            "Inference (avg)": _in(latency.mean, 1e3),
        },
    }


def _milliseconds(row: Benched) -> dict[str, Json]:
    if row.latency is None or row.phases is None:
        return {}
    phases, latency = row.phases, row.latency
    return {
        "init_ms": _in(phases.load, 1e6),
        "warmup_first_ms": _in(phases.first, 1e6),
        "warmup_avg_ms": _in(phases.warmup, 1e6),
        "num_warmup_runs": phases.warmup_runs,
        **{name: _in(getattr(latency, field), 1e6) for name, field in FIGURES.items()},
        "num_runs": sum(latency.launches),
    }


def _in(measured: Measurement, unit: float) -> float | None:
    # Not rounded to hundredths, as the tools do: a small model would take 0.00 ms.
    return None if measured.value is None else round(measured.value / unit, 6)


def to_csv(done: BenchReport) -> str:
    """Return a line per row, with the names that the platform's tool gives to its figures."""
    text = io.StringIO()
    writer = csv.DictWriter(text, CSV, restval="", lineterminator="\n")
    writer.writeheader()
    for row in done.rows:
        writer.writerow(_fields(row))
    return text.getvalue()


def _fields(row: Benched) -> dict[str, Json]:
    fields: dict[str, Json] = {name: getattr(row, name) for name in OWN}
    fields |= {"model": row.source, "accelerators": "CPU", "num_threads": row.threads}
    fields |= {"status": row.status.value, **_milliseconds(row)}
    if row.latency is not None:
        middle, latency = row.latency.p50, row.latency
        bounds = {"median_low_ms": middle.low, "median_high_ms": middle.high}
        fields |= {k: round(v / 1e6, 6) for k, v in bounds.items() if v is not None}
        tail = {"p90_ms": latency.p90, "p99_ms": latency.p99, "mad_ms": latency.mad}
        fields |= {name: _in(measured, 1e6) for name, measured in tail.items()}
    if row.memory is not None:
        sizes = {"peak_rss_bytes": row.memory.peak_rss, "arena_bytes": row.memory.arena}
        fields |= {k: int(m.value) for k, m in sizes.items() if m.value is not None}
    return fields


def write(done: BenchReport, folder: Path, table: Path | None = None) -> Path:
    """Write ``bench.json`` into a run's folder, and the CSV where one is asked for."""
    path = folder / "bench.json"
    write_text(path, json.dumps(to_json(done), indent=2, allow_nan=False) + "\n")
    if table is not None:
        write_text(table, to_csv(done))
    return path


def tables(done: BenchReport) -> Iterator[object]:
    """Yield the table of rows, then each row's profile, where there is one."""
    yield grid(HEADINGS, rows(done), DROP)
    for name, operators in profiles(done):
        yield f"{name}: operators by time"
        yield grid(PROFILE, operators, ("run by",))


def rows(done: BenchReport) -> Iterator[Row]:
    """Yield a row per model, device and number of threads, under the headings."""
    return (Row(_cells(row), _style(row)) for row in done.rows)


def profiles(done: BenchReport) -> Iterator[tuple[str, Iterator[Row]]]:
    """Yield the operators by time of each row that was profiled, with its id."""
    for row in done.rows:
        if row.profile is not None and row.profile.operators:
            yield row.id, _operators(row.profile)


def _cells(row: Benched) -> tuple[tuple[str, str], ...]:
    where = row.device if "==" in row.device else f"{row.runtime} {row.version}".strip()
    if row.address:
        named = f"{row.device}: {where or row.address}"
        where = named if len(named) <= WIDEST else row.device
    head = (
        (words.shortened(row.id.partition(" on ")[0], WIDEST), where or row.device),
        (str(row.threads), str(row.batch)),
    )
    if row.latency is None or row.phases is None:
        return (*head, *(((words.NONE, ""),) * 6), (MARKS[row.status][0], ""))
    latency, memory = row.latency, row.memory
    return (
        *head,
        (_time(row.phases.load), _time(row.phases.first)),
        (_time(latency.p50), spread(latency.p50)),
        (_time(latency.p90), _time(latency.p99)),
        (_time(latency.mean), _time(latency.mad)),
        (_size(memory.peak_rss if memory else None), _size(memory.planned if memory else None)),
        (f"{sum(latency.launches):,}", str(len(latency.launches))),
        (row.inputs, "estimates" if row.estimates else ""),
    )


def _time(measured: Measurement) -> str:
    """Format a duration, with a mark where it is an estimate."""
    mark = words.ESTIMATE if measured.how == "estimated" else ""
    return f"{mark}{words.duration(measured)}"


def spread(measured: Measurement) -> str:
    """Format the bounds of a latency, in the unit of its value."""
    if measured.value is None:
        return words.NONE
    if measured.low is None or measured.high is None:
        return "unbounded"
    unit = 1e3 if measured.value < 1e6 else 1e6 if measured.value < 1e9 else 1e9
    return f"[{measured.low / unit:.4g}, {measured.high / unit:.4g}]"


def _exact(measured: Measurement) -> str:
    return words.NONE if measured.value is None else words.exact(measured.value)


def _size(measured: Measurement | None) -> str:
    return words.NONE if measured is None or measured.value is None else words.size(measured.value)


def _style(row: Benched) -> str:
    return "" if row.status is Status.PASSED else MARKS[row.status][1]


def _operators(profile: Profile) -> Iterator[Row]:
    ranked = sorted(profile.operators, key=lambda operator: -operator.share)
    for operator in ranked[:OPERATORS]:
        ran = "delegate" if operator.delegate else "interpreter"
        name = f"{operator.name} ({operator.node})"
        time = words.duration(operator.time)
        yield single_lines(name, time, words.share(operator.share), ran)
    rest = ranked[OPERATORS:]
    if rest:
        share = words.share(sum(operator.share for operator in rest))
        yield single_lines(f"{len(rest)} more", "", share, "")


def lines(done: BenchReport, verbose: bool = False, quiet: bool = False) -> Iterator[Line]:
    """Yield the lines below the table: results without a column; unless quiet, conditions too."""
    if not quiet:
        for name, place in done.places.items():
            own = ", ".join(place.devices) if name != HERE or len(done.places) > 1 else ""
            yield _calibration(place.calibration, own)
        if any(row.inputs == "synthetic" and row.latency is not None for row in done.rows):
            yield "the inputs are synthetic: give real ones with --data", "dim"
    for row in done.rows:
        if not quiet:
            yield from _note_lines(row, verbose)
        yield from _result_lines(row, verbose)


def _calibration(noise: Measurement, devices: str) -> Line:
    if noise.value is not None:
        where = devices or "this host"
        return f"A/A calibration: {where} can tell differences from {100 * noise.value:.1f} %", ""
    where = f" of {devices}" if devices else ""
    return f"A/A calibration{where}: unavailable, because {noise.reason}", "dim"


def _note_lines(row: Benched, verbose: bool) -> Iterator[Line]:
    if row.address:
        yield f"{row.id}: {row.device} is {row.address}", "dim"
    for number, problem in enumerate(row.attempts, 1):
        yield f"{row.id}: attempt {number} failed: {problem}", "yellow"
    if row.latency is not None and not row.estimates:
        power = row.latency.power
        if power.value is not None:
            smallest = (
                f"smallest detectable difference from another such run {100 * power.value:.1f} %"
            )
            yield f"{row.id}: {smallest}; stopped by {row.latency.stopped}", ""
        else:
            yield f"{row.id}: {power.reason}", "yellow"
    if row.conditions is not None:
        yield from ((f"{row.id}: {note}", "yellow") for note in row.conditions.notes)
        if verbose:
            yield from _condition_lines(row.id, row.conditions)


def _result_lines(row: Benched, verbose: bool) -> Iterator[Line]:
    if row.selftest is not None and row.selftest.passed:
        worst = max((d or 0.0 for d in row.selftest.differences.values()), default=0.0)
        shown = f"{row.selftest.items} golden items, largest difference {worst:.3g}"
        yield f"{row.id}: self-test passed on {row.device or row.runtime}: {shown}", ""
    if row.estimates and row.latency is not None:
        why = "its times are estimates, and satisfy no budget"
        yield f"{row.id}: {why}: {row.estimates}", "yellow"
    elif row.latency is not None and row.latency.p50.value is None:
        sums = {"min": row.latency.min, "max": row.latency.max, "std": row.latency.std}
        shown = ", ".join(f"{name} {words.duration(m)}" for name, m in sums.items())
        yield f"{row.id}: {shown}; no median: {row.latency.p50.reason}", ""
    if row.memory is not None:
        yield from _memory_lines(row.id, row.memory, verbose)
    if row.profile is not None and not row.profile.operators:
        yield f"{row.id}: profile: unavailable, because {row.profile.total.reason}", "yellow"
    if row.sustained is not None:
        early, late = words.duration(row.sustained.first), words.duration(row.sustained.plateau)
        slower = words.ratio(row.sustained.slowdown)
        yield f"{row.id}: sustained: {early} at first, {late} on the plateau: {slower}", ""
    if row.mlperf_tiny is not None:
        score, accuracy = row.mlperf_tiny.throughput, row.mlperf_tiny.accuracy
        yield f"{row.id}: MLPerf Tiny: {score.value:.5g} inferences/s, {score.tool}", ""
        right = accuracy.reason if accuracy.value is None else f"{accuracy.value:.4g}"
        yield f"{row.id}: MLPerf Tiny accuracy: {right}", "dim"


def _memory_lines(name: str, memory: BenchMemory, verbose: bool) -> Iterator[Line]:
    if memory.arena.value is not None:
        beside = {"recorded": memory.recorded, "on 32 bits": memory.estimated_32bit}
        listed = [f"{kind} {_exact(m)} ({m.how})" for kind, m in beside.items() if m is not None]
        yield f"{name}: smallest arena {_exact(memory.arena)}; {', '.join(listed)}", ""
    if verbose:
        parts = {"planned": memory.planned, "seen": memory.activations, "arena": memory.arena}
        for kind, size in parts.items():
            yield f"{name}: activations, {kind}: {_described(size)}", "dim"


def _condition_lines(name: str, conditions: Conditions) -> Iterator[Line]:
    for quantity in ("others", "stolen", "load_average", "frequency", "temperature", "throttled"):
        measured = getattr(conditions, quantity)
        value = (
            f"unavailable, because {measured.reason}"
            if measured.value is None
            else f"{measured.value:.3g}"
        )
        yield f"{name}: {quantity.replace('_', ' ')}: {value}", "dim"


def _described(measured: Measurement) -> str:
    if measured.value is None:
        return f"unavailable, because {measured.reason}"
    return f"{words.exact(measured.value)} ({measured.how}: {measured.tool})"
