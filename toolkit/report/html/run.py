"""The page of a run of convert or compress: its sections, in the order in which they matter."""

from __future__ import annotations

from collections.abc import Iterator

from edgekit.report import charts
from edgekit.report.html import candidates, stages, targets, verdict
from edgekit.report.html.drawings import drawn
from edgekit.report.html.shell import Page, Section, badge, render
from edgekit.types import Report
from edgekit.types.details import Details


def run_page(report: Report, details: Details | None = None) -> str:
    """Return the HTML page of a run; without details, what the report alone can tell."""
    name, version = str(report.model["name"]), str(report.model["version"])
    found = charts.of_report(report, details)
    return render(
        Page(
            f"{name} {version}",
            f"run {report.run}",
            badge(report.verdict.status),
            tuple(_sections(report, details, found)),
            f"edgekit {report.environment['edgekit']}, run {report.run}",
            drawn(found),
        )
    )


def _sections(report: Report, details: Details | None, found: charts.Charts) -> Iterator[Section]:
    command = details.command if details else ""
    yield Section("verdict", "Verdict", "verdict.html.j2", verdict.view(report))
    yield Section("targets", "Targets", "targets.html.j2", targets.view(report))
    shown = candidates.view(report, found["pareto"])
    yield Section("candidates", "Candidates", "candidates.html.j2", shown)
    yield Section("run", "What was done", "run.html.j2", stages.view(report, command))
    if report.advice:
        yield Section("advice", "Advice", "advice.html.j2", report.advice)
    if waivers := verdict.waivers(report):
        yield Section("waivers", "Waivers", "waivers.html.j2", waivers)
