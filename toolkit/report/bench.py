"""The report of ``edgekit bench``: a table, lines on conditions and details, JSON and CSV.

JSON and CSV also have the field names of the platform's own tools, so that old dashboards read
them: ``ai_edge_litert/tools/benchmark_litert_model.py`` (``latency.init_ms`` …) and TensorFlow
Lite's ``benchmark_model`` ("Inference timings in us", in its README).
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Iterator
from pathlib import Path

from edgekit.report import words
from edgekit.report.grid import Row, drawn
from edgekit.report.measurements import plain
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
WIDEST = 26
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
CSV = (
    "model",
    "device",
    "runtime",
    "version",
    "accelerators",
    "num_threads",
    "batch",
    "delegate",
    "inputs",
    "status",
    "init_ms",
    "warmup_first_ms",
    "warmup_avg_ms",
    "num_warmup_runs",
    "avg_ms",
    "min_ms",
    "max_ms",
    "median_ms",
    "median_low_ms",
    "median_high_ms",
    "std_ms",
    "p5_ms",
    "p90_ms",
    "p95_ms",
    "p99_ms",
    "mad_ms",
    "num_runs",
    "peak_rss_bytes",
    "arena_bytes",
    "address",
    "emulated",
    "problem",
)

Line = tuple[str, str]


def to_json(done: BenchReport) -> dict[str, Json]:
    """Return the whole report, each row with the fields of the platform's tools.

    The path of the timed runs counts from the run's folder, so that the folder may move.
    """
    document: dict[str, Json] = plain(dataclasses.asdict(done))
    for row, one in zip(document["rows"], done.rows, strict=True):
        row["platform"] = platform(one)
        if one.latency is not None and one.latency.path is not None:
            row["latency"]["path"] = "/".join(one.latency.path.parts[-2:])
    return {"schema_version": SCHEMA_VERSION, **document}


def platform(one: Benched) -> dict[str, Json] | None:
    """Return a row in the field names of the platform's tools; None where nothing was measured."""
    if one.latency is None or one.phases is None:
        return None
    phases, latency = one.phases, one.latency
    return {
        "benchmark_litert_model": {
            "model": one.source,
            "model_size_mb": round(one.bytes / 2**20, 2),
            "accelerators": ["CPU"],
            "num_threads": one.threads,
            "latency": _milliseconds(one),
        },
        "benchmark_model": {
            "Init": _in(phases.load, 1e3),
            "First inference": _in(phases.first, 1e3),
            "Warmup (avg)": _in(phases.warmup, 1e3),
            "Inference (avg)": _in(latency.mean, 1e3),
        },
    }


def _milliseconds(one: Benched) -> dict[str, Json]:
    if one.latency is None or one.phases is None:
        return {}
    phases, latency = one.phases, one.latency
    return {
        "init_ms": _in(phases.load, 1e6),
        "warmup_first_ms": _in(phases.first, 1e6),
        "warmup_avg_ms": _in(phases.warmup, 1e6),
        "num_warmup_runs": phases.warmup_runs,
        "avg_ms": _in(latency.mean, 1e6),
        "min_ms": _in(latency.min, 1e6),
        "max_ms": _in(latency.max, 1e6),
        "median_ms": _in(latency.p50, 1e6),
        "std_ms": _in(latency.std, 1e6),
        "p5_ms": _in(latency.p5, 1e6),
        "p95_ms": _in(latency.p95, 1e6),
        "num_runs": sum(latency.launches),
    }


def _in(found: Measurement, unit: float) -> float | None:
    # Not rounded to hundredths, as the tools do: a small model would take 0.00 ms.
    return None if found.value is None else round(found.value / unit, 6)


def to_csv(done: BenchReport) -> str:
    """Return a line per row, with the names that the platform's tool gives to its figures."""
    text = io.StringIO()
    writer = csv.DictWriter(text, CSV, restval="", lineterminator="\n")
    writer.writeheader()
    for one in done.rows:
        writer.writerow(_fields(one))
    return text.getvalue()


def _fields(one: Benched) -> dict[str, Json]:
    fields: dict[str, Json] = {
        "model": one.source,
        "device": one.device,
        "runtime": one.runtime,
        "version": one.version,
        "accelerators": "CPU",
        "num_threads": one.threads,
        "batch": one.batch,
        "delegate": one.delegate,
        "inputs": one.inputs,
        "status": one.status.value,
        **_milliseconds(one),
        "address": one.address,
        "emulated": one.emulated,
        "problem": one.problem,
    }
    if one.latency is not None:
        middle, latency = one.latency.p50, one.latency
        bounds = {"median_low_ms": middle.low, "median_high_ms": middle.high}
        fields |= {k: round(v / 1e6, 6) for k, v in bounds.items() if v is not None}
        tail = {"p90_ms": latency.p90, "p99_ms": latency.p99, "mad_ms": latency.mad}
        fields |= {name: _in(found, 1e6) for name, found in tail.items()}
    if one.memory is not None:
        held = {"peak_rss_bytes": one.memory.peak_rss, "arena_bytes": one.memory.arena}
        fields |= {k: int(m.value) for k, m in held.items() if m.value is not None}
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
    yield drawn(list(HEADINGS), (Row(_cells(one), _style(one)) for one in done.rows))
    for one in done.rows:
        if one.profile is not None and one.profile.operators:
            yield f"{one.id}: operators by time"
            yield drawn(
                [("operator", ""), ("ran by", ""), ("time", ""), ("share", "")],
                _operators(one.profile),
            )


def _cells(one: Benched) -> tuple[tuple[str, str], ...]:
    where = one.device if "==" in one.device else f"{one.runtime} {one.version}".strip()
    if one.address:
        told = f"{one.device}: {where or one.address}"
        where = told if len(told) <= WIDEST else one.device
    head = (
        (words.shortened(one.id.partition(" on ")[0], WIDEST), where or one.device),
        (str(one.threads), str(one.batch)),
    )
    if one.latency is None or one.phases is None:
        return (*head, *(((words.NONE, ""),) * 6), (MARKS[one.status][0], ""))
    latency, memory = one.latency, one.memory
    return (
        *head,
        (_time(one.phases.load), _time(one.phases.first)),
        (_time(latency.p50), spread(latency.p50)),
        (_time(latency.p90), _time(latency.p99)),
        (_time(latency.mean), _time(latency.mad)),
        (_size(memory.peak_rss if memory else None), _size(memory.planned if memory else None)),
        (f"{sum(latency.launches):,}", str(len(latency.launches))),
        (one.inputs, "emulated" if one.emulated else ""),
    )


def _time(found: Measurement) -> str:
    """Format a duration, with a mark where it is an estimate."""
    mark = words.ESTIMATE if found.how == "estimated" else ""
    return f"{mark}{words.duration(found)}"


def spread(found: Measurement) -> str:
    """Format the bounds of a latency, in the unit of its value."""
    if found.value is None:
        return words.NONE
    if found.low is None or found.high is None:
        return "unbounded"
    unit = 1e3 if found.value < 1e6 else 1e6 if found.value < 1e9 else 1e9
    return f"[{found.low / unit:.4g}, {found.high / unit:.4g}]"


def _exact(found: Measurement) -> str:
    return words.NONE if found.value is None else words.exact(found.value)


def _size(found: Measurement | None) -> str:
    return words.NONE if found is None or found.value is None else words.size(found.value)


def _style(one: Benched) -> str:
    return "" if one.status is Status.PASSED else MARKS[one.status][1]


def _operators(profile: Profile) -> Iterator[Row]:
    ranked = sorted(profile.operators, key=lambda operator: -operator.share)
    for operator in ranked[:OPERATORS]:
        ran = "delegate" if operator.delegate else "interpreter"
        name = f"{operator.name} ({operator.node})"
        time = words.duration(operator.time)
        yield Row(((name, ""), (ran, ""), (time, ""), (words.share(operator.share), "")))
    rest = ranked[OPERATORS:]
    if rest:
        share = words.share(sum(operator.share for operator in rest))
        yield Row(((f"{len(rest)} more", ""), ("", ""), ("", ""), (share, "")))


def lines(done: BenchReport, verbose: bool = False, quiet: bool = False) -> Iterator[Line]:
    """Yield the lines below the table: results without a column; unless quiet, conditions too."""
    if not quiet:
        for name, place in done.places.items():
            own = ", ".join(place.devices) if name != HERE or len(done.places) > 1 else ""
            yield _calibration(place.calibration, own)
        if any(one.inputs == "synthetic" and one.latency is not None for one in done.rows):
            yield "synthetic inputs were drawn: give real ones with --data", "dim"
    for one in done.rows:
        if not quiet:
            yield from _note_lines(one, verbose)
        yield from _result_lines(one, verbose)


def _calibration(found: Measurement, devices: str) -> Line:
    if found.value is not None:
        where = devices or "this host"
        return f"A/A: {where} tells differences from {100 * found.value:.1f} % on now", ""
    where = f" of {devices}" if devices else ""
    return f"A/A calibration{where}: unavailable, because {found.reason}", "dim"


def _note_lines(one: Benched, verbose: bool) -> Iterator[Line]:
    if one.address:
        yield f"{one.id}: {one.device} is {one.address}", "dim"
    for number, problem in enumerate(one.attempts, 1):
        yield f"{one.id}: attempt {number} failed: {problem}", "yellow"
    if one.latency is not None and not one.emulated:
        told = one.latency.power
        if told.value is not None:
            smallest = f"a difference of {100 * told.value:.1f} % from another such run"
            yield f"{one.id}: could tell {smallest}; stopped by {one.latency.stopped}", ""
        else:
            yield f"{one.id}: {told.reason}", "yellow"
    if one.conditions is not None:
        yield from ((f"{one.id}: {note}", "yellow") for note in one.conditions.notes)
        if verbose:
            yield from _condition_lines(one.id, one.conditions)


def _result_lines(one: Benched, verbose: bool) -> Iterator[Line]:
    if one.selftest is not None and one.selftest.passed:
        worst = max((d or 0.0 for d in one.selftest.differences.values()), default=0.0)
        shown = f"{one.selftest.items} golden items, largest difference {worst:.3g}"
        yield f"{one.id}: self-test passed on {one.device or one.runtime}: {shown}", ""
    if one.emulated and one.latency is not None:
        why = "its times are estimates, and satisfy no budget"
        yield f"{one.id}: emulated ({one.emulated}): {why}", "yellow"
    elif one.latency is not None and one.latency.p50.value is None:
        sums = {"min": one.latency.min, "max": one.latency.max, "std": one.latency.std}
        shown = ", ".join(f"{name} {words.duration(m)}" for name, m in sums.items())
        yield f"{one.id}: {shown}; no median: {one.latency.p50.reason}", ""
    if one.memory is not None:
        yield from _memory_lines(one.id, one.memory, verbose)
    if one.profile is not None and not one.profile.operators:
        yield f"{one.id}: profile: unavailable, because {one.profile.total.reason}", "yellow"
    if one.sustained is not None:
        early, late = words.duration(one.sustained.first), words.duration(one.sustained.plateau)
        slower = words.ratio(one.sustained.slowdown)
        yield f"{one.id}: sustained: {early} at first, {late} on the plateau: {slower}", ""
    if one.mlperf_tiny is not None:
        score, accuracy = one.mlperf_tiny.throughput, one.mlperf_tiny.accuracy
        yield f"{one.id}: MLPerf Tiny: {score.value:.5g} inferences/s, {score.tool}", ""
        right = accuracy.reason if accuracy.value is None else f"{accuracy.value:.4g}"
        yield f"{one.id}: MLPerf Tiny accuracy: {right}", "dim"


def _memory_lines(name: str, held: BenchMemory, verbose: bool) -> Iterator[Line]:
    if held.arena.value is not None:
        beside = {"recorded": held.recorded, "on 32 bits": held.estimated_32bit}
        told = [f"{what} {_exact(m)} ({m.how})" for what, m in beside.items() if m is not None]
        yield f"{name}: smallest arena {_exact(held.arena)}; {', '.join(told)}", ""
    if verbose:
        parts = {"planned": held.planned, "seen": held.activations, "arena": held.arena}
        for what, found in parts.items():
            yield f"{name}: activations, {what}: {_told(found)}", "dim"


def _condition_lines(name: str, found: Conditions) -> Iterator[Line]:
    for what in ("others", "stolen", "load_average", "frequency", "temperature", "throttled"):
        one = getattr(found, what)
        value = f"unavailable, because {one.reason}" if one.value is None else f"{one.value:.3g}"
        yield f"{name}: {what.replace('_', ' ')}: {value}", "dim"


def _told(found: Measurement) -> str:
    if found.value is None:
        return f"unavailable, because {found.reason}"
    return f"{words.exact(found.value)} ({found.how}: {found.tool})"
