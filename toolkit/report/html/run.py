"""The page of a run of convert or compress: its sections, in the order in which they matter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edgekit.report import charts, places
from edgekit.report.html import (
    answers,
    candidates,
    drawings,
    fit,
    inputs,
    models,
    operators,
    stages,
    targets,
    verdict,
)
from edgekit.report.html.shell import Page, Section, badge, render
from edgekit.types import Report
from edgekit.types.details import Details

LAYERS = "`edgekit convert --layers` compares them."


@dataclass(frozen=True)
class LatencyView:
    """The distributions of latency, and the host that they are of: ``place`` is what it is to the
    run's targets."""

    place: str
    host: str
    chart: charts.Chart


def run_page(report: Report, details: Details | None = None) -> str:
    """Return the HTML page of a run; without details, what the report alone can tell."""
    name, version = str(report.model["name"]), str(report.model["version"])
    figures = charts.of_report(report, details)
    drawn, pictures = drawings.embedded(report, details, figures)
    return render(
        Page(
            f"{name} {version}",
            f"run {report.run}",
            badge(report.verdict.status),
            tuple(_sections(report, details, figures)),
            f"edgekit {report.environment['edgekit']}, run {report.run}",
            drawn,
            pictures,
        )
    )


def _sections(
    report: Report, details: Details | None, pictures: charts.Charts
) -> Iterator[Section]:
    yield Section("verdict", "Verdict", "verdict.html.j2", verdict.view(report))
    if report.targets:
        yield Section("targets", "Targets", "targets.html.j2", targets.view(report))
    shown = candidates.view(report, pictures["pareto"])
    yield Section("candidates", "Candidates", "candidates.html.j2", shown)
    yield _latency(report, pictures["latency"])
    yield models.section(report, pictures, "layers", "layers", "Error by layer", LAYERS)
    yield models.section(report, pictures, "sizes", "sizes", "Size by layer", "")
    yield answers.section(report, pictures)
    yield answers.worst_section(report, details)
    yield inputs.section(details)
    yield operators.section(report, details)
    yield fit.section(report)
    if "training" in pictures:
        yield Section("training", "Training", "training.html.j2", pictures["training"])
    command = details.command if details else ""
    yield Section("run", "What was done", "run.html.j2", stages.view(report, command))
    if report.advice:
        yield Section("advice", "Advice", "advice.html.j2", report.advice)
    if waivers := verdict.waivers(report):
        yield Section("waivers", "Waivers", "waivers.html.j2", waivers)


def _latency(report: Report, chart: charts.Chart | charts.Absent) -> Section:
    title = "Latency on this host"
    if isinstance(chart, charts.Absent):
        return Section("latency", title, absent=models.missing(chart.reason))
    view = LatencyView(places.of_host(report), candidates.host(report.environment), chart)
    return Section("latency", title, "latency.html.j2", view)
