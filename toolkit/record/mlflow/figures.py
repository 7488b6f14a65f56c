"""Figures as metrics of MLflow, whose names say the unit: ``int8/latency_p50_ms``.

An interval is two metrics more, ``.low`` and ``.high``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from edgekit import history
from edgekit.record.mlflow.entry import Measured
from edgekit.types import Benched, BenchReport, Evaluation, Measurement, Report

REFERENCE, RATIO = "reference", "latency_ratio"
# What MLflow lets a name hold, and how long it may be.
FORBIDDEN = re.compile(r"[^\w.\- :]")
LONGEST_NAME, LONGEST_TEXT = 240, 500
# Times are told in milliseconds, as everywhere.
UNITS = {"ns": ("_ms", 1e-6), "byte": ("_bytes", 1.0), "1": ("", 1.0), "": ("", 1.0)}


def named(*parts: str) -> str:
    """Return a name that MLflow takes, of parts that become folders of its page."""
    clean = (FORBIDDEN.sub("_", part).strip(" .") or "_" for part in parts)
    return "/".join(clean)[:LONGEST_NAME]


def metrics_of(report: Report) -> tuple[Measured, ...]:
    """Return what a run measured: of every candidate, of what each target ships, of the reference.

    A target's times are of its own device, where it was timed there.
    """
    found: dict[str, Measured] = {}
    alone = history.entries(replace(report, targets=()))
    shipped = [one for one in history.entries(report) if one.target]
    for entry in (*alone, *shipped):
        found |= _metrics(entry.target or entry.candidate, _named_for_all(entry.figures))
    for candidate in report.candidates:
        found |= _metrics(candidate.id, _others(candidate.evaluation)) | found
    found |= _metrics(REFERENCE, report.reference_evaluation.metrics)
    return tuple(found.values())


def bench_metrics(report: BenchReport) -> tuple[Measured, ...]:
    """Return what a bench measured of each model on each device."""
    found: dict[str, Measured] = {}
    several = len({(row.threads, row.batch) for row in report.rows}) > 1
    for row in report.rows:
        place = f"{row.device} {row.threads} threads batch {row.batch}" if several else row.device
        found |= _metrics(named(row.id, place), dict(_benched(row)), whole=True)
    return tuple(found.values())


def _benched(row: Benched) -> Iterator[tuple[str, Measurement]]:
    if row.phases is not None:
        yield "load", row.phases.load
        yield "first", row.phases.first
    if row.latency is not None:
        for name in ("p50", "p90", "p95", "p99", "mean"):
            yield f"latency_{name}", getattr(row.latency, name)
    if row.memory is not None:
        yield "peak_memory", row.memory.peak_rss
        yield "arena", row.memory.arena
    if row.sustained is not None:
        yield "slowdown", row.sustained.slowdown
    if row.bytes:
        yield "size", Measurement(float(row.bytes), "byte")


def _others(evaluation: Evaluation) -> dict[str, Measurement]:
    """Return metrics beside the headline's, with what they lost."""
    drops = {f"{name} drop": drop for name, drop in evaluation.drop.items()}
    return {**evaluation.metrics, **drops}


def _named_for_all(figures: Mapping[str, Measurement]) -> dict[str, Measurement]:
    """Return a candidate's figures by names that say what they are where no table does."""
    return {RATIO if name == "latency" else name: figure for name, figure in figures.items()}


def _metrics(
    place: str, figures: Mapping[str, Measurement], whole: bool = False
) -> dict[str, Measured]:
    """Return figures of one place by their names; what is unavailable has none."""
    metrics = {}
    for figure, measured in figures.items():
        suffix, factor = UNITS.get(measured.unit, (f"_{measured.unit}", 1.0))
        below = FORBIDDEN.sub("_", f"{figure}{suffix}".replace(" ", "_"))
        name = f"{place}/{below}" if whole else named(place, below)
        ends = {"": measured.value, ".low": measured.low, ".high": measured.high}
        for end, value in ends.items():
            if value is not None and math.isfinite(value):
                metrics[f"{name}{end}"] = Measured(f"{name}{end}", value * factor)
    return metrics
