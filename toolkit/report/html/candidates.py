"""The candidates beside their reference, and their other metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from edgekit.report import charts, places
from edgekit.report.compression import compression_lines, layer_headings, layer_rows
from edgekit.report.html import figures
from edgekit.report.html.figures import Figure
from edgekit.report.html.shell import Badge, badge
from edgekit.report.outputs import TITLES, outputs_rows
from edgekit.report.recovery import recovery_lines
from edgekit.report.table import outcome_of_candidate
from edgekit.types import Candidate, Evaluation, Json, Report, Status


@dataclass(frozen=True)
class CandidateRow:
    """A candidate, or the reference first: its figures, and what is to be said of it."""

    id: str
    badge: Badge | None
    decided_by: str
    ships: tuple[str, ...]
    size: Figure
    zipped: Figure
    score: Figure
    drop: Figure
    p50: Figure
    p95: Figure
    ratio: Figure
    memory: Figure
    release: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class TextTable:
    """A table of texts: its caption, its headings, its rows."""

    caption: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class ParityRow:
    """How far an output of a candidate lies from the reference's, and how many answers change."""

    id: str
    output: str
    largest: Figure
    mean: Figure
    sqnr: Figure
    cosine: Figure
    flips: Figure


@dataclass(frozen=True)
class CandidatesView:
    """The table, and what was measured beside it."""

    metric: str
    points: bool
    place: str
    host: str
    rows: tuple[CandidateRow, ...]
    pareto: charts.Chart | charts.Absent
    parity: tuple[ParityRow, ...]
    compression: tuple[str, ...]
    tables: tuple[TextTable, ...]


def view(report: Report, pareto: charts.Chart | charts.Absent) -> CandidatesView:
    """Return what the candidates' section shows."""
    rows = [_reference(report)]
    rows += [_candidate(report, number, one) for number, one in enumerate(report.candidates)]
    return CandidatesView(
        str(report.settings["metric"]),
        bool(report.settings["bounded"]),
        places.of_host(report),
        host(report.environment),
        tuple(rows),
        pareto,
        tuple(_parity(report)),
        tuple(compression_lines(report)) if report.compression else (),
        tuple(_tables(report)),
    )


def host(environment: Mapping[str, Json]) -> str:
    """Name the machine that ran everything which no device of a target did."""
    device = environment.get("device") or {}
    cpus, cpu = device.get("cpus"), str(device.get("cpu") or "")
    plural = "" if cpus == 1 else "s"
    parts = [cpu, f"{cpus} CPU{plural}" if cpus else ""]
    parts.append(f"{device.get('system', '')} {device.get('machine', '')}".strip())
    return ", ".join(part for part in parts if part)


def _reference(report: Report) -> CandidateRow:
    size = figures.size(report.reference.bytes, "/reference/bytes")
    measured = _figures(report, report.reference_evaluation, "/reference")
    title = report.reference.title
    return CandidateRow(title, None, "", (), size, figures.ABSENT, *measured, "", ())


def _candidate(report: Report, number: int, candidate: Candidate) -> CandidateRow:
    at = f"/candidates/{number}"
    status, names = outcome_of_candidate(report, candidate)
    need = candidate.minimum_runtime
    notes = [candidate.problem] if candidate.problem else []
    notes += [
        f"does not run on {ran.runtime} {ran.version}: {ran.message}"
        for ran in candidate.evaluation.runtimes
        if ran.status is Status.INCOMPATIBLE
    ]
    if candidate.recovery:
        notes += [line.strip() for line, _ in recovery_lines(candidate.id, candidate.recovery)]
    return CandidateRow(
        candidate.id,
        badge(status),
        ", ".join(names),
        tuple(target.id for target in report.targets if target.candidate == candidate.id),
        figures.exact(candidate.bytes, f"{at}/bytes"),
        figures.size(candidate.compressed_bytes, f"{at}/compressed_bytes"),
        *_figures(report, candidate.evaluation, at),
        need.release if need else "",
        tuple(notes),
    )


def _figures(
    report: Report, evaluation: Evaluation, at: str
) -> tuple[Figure, Figure, Figure, Figure, Figure, Figure]:
    metric, bounded = str(report.settings["metric"]), bool(report.settings["bounded"])
    latency, memory = evaluation.latency, evaluation.memory
    score, drop = figures.pointer("metrics", metric), figures.pointer("drop", metric)
    return (
        figures.score(evaluation.metrics.get(metric), bounded, at + score),
        figures.drop(evaluation.drop.get(metric), bounded, at + drop),
        figures.time(latency.p50 if latency else None, f"{at}/latency/p50"),
        figures.time(latency.p95 if latency else None, f"{at}/latency/p95"),
        figures.ratio(evaluation.latency_ratio, f"{at}/latency_ratio"),
        figures.memory(memory.peak_rss if memory else None, f"{at}/memory/peak_rss"),
    )


def _parity(report: Report) -> Iterator[ParityRow]:
    for number, candidate in enumerate(report.candidates):
        at, evaluation = f"/candidates/{number}", candidate.evaluation
        for output, measured in evaluation.parity.items():
            place = at + figures.pointer("parity", output)
            largest, mean = measured.get("max_abs_error"), measured.get("mean_abs_error")
            yield ParityRow(
                candidate.id,
                output,
                figures.formatted(largest, "plain", f"{place}/max_abs_error"),
                figures.formatted(mean, "plain", f"{place}/mean_abs_error"),
                figures.formatted(measured.get("sqnr"), "decibel", f"{place}/sqnr"),
                figures.formatted(measured.get("cosine"), "cosine", f"{place}/cosine"),
                figures.score(evaluation.flips, True, f"{at}/flips"),
            )


def _tables(report: Report) -> list[TextTable]:
    tables = []
    if others := list(outputs_rows(report)):
        headings = tuple(" ".join(part for part in pair if part) for pair in TITLES[:3])
        rows = tuple(
            tuple(" ".join(part for part in cell if part) for cell in row.cells[:3])
            for row in others
        )
        tables.append(TextTable("Also measured", headings, rows))
    for scheme in report.compression.schemes if report.compression else ():
        caption = f"Layers: {scheme.scheme} {scheme.requested}"
        tables.append(TextTable(caption, layer_headings(scheme), tuple(layer_rows(scheme))))
    return tables
