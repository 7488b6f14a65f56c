"""``edgekit lock``: what runs are held against."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli.console import console, print_json, print_lines
from edgekit.cli.help import documented
from edgekit.cli.options import common, flag, model_option, project_option
from edgekit.cli.project import project_of_report

if TYPE_CHECKING:
    from edgekit.api import Tightened
    from edgekit.gate.lock import LockEntry

Line = tuple[str, str]


@documented(
    "lock",
    ("what runs are held against", "edgekit lock"),
    ("tighten it by the newest run here", "edgekit lock --update"),
)
@click.argument("report", required=False, type=click.Path(path_type=Path))
@flag("--update", "Write edgekit.lock: what the run has better replaces what is there.")
@project_option
@model_option
@common
def command(report: Path | None, update: bool, **options: Any) -> int:
    """Show edgekit.lock, whose figures `edgekit check` lets no run fall behind.

    With --update it is made of REPORT (report.json, or a run's folder; default: the newest run
    here, of each of the project's [models]), or tightened by it. What is worse stays out, with exit
    code 1, unless a [[waiver]] in the project file accepts it.
    """
    from edgekit import api
    from edgekit.gate.lock import render_lock

    if report is not None and not update:
        raise click.UsageError("a report is named to update the lock by it: add --update")
    projects = _projects(report, options)
    out = console(options["as_json"])
    refused = 0
    if update:
        done = api.update_locks(report, projects)
        print_lines(out, list(_changes(done)))
        entries, refused = done.entries, len(done.refused)
    else:
        models = options["model_names"]
        entries = api.read_lock(projects[0].root if projects else Path.cwd())
        entries = tuple(each for each in entries if not models or each.tag.model in models)
        if not options["quiet"]:
            print_lines(out, [line for entry in entries for line in _shown(entry)])
    if options["as_json"]:
        print_json(_document(render_lock(entries)))
    return 1 if refused else 0


def _projects(report: Path | None, options: dict[str, Any]) -> tuple[Any, ...]:
    """Return the projects whose lock it is: of a report that is named, its own."""
    from edgekit.project import FILE, Project

    file, models = options["project_file"], options["model_names"]
    if not file and not Path(FILE).is_file():
        return ()
    if report is not None:
        return (project_of_report(report, file or Path(FILE), models),)
    return Project.load_all(file or FILE, models)


def _document(text: str) -> Any:
    import sys

    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    return tomllib.loads(text)


def _changes(done: Tightened) -> Iterator[Line]:
    from edgekit.report import path

    for text in done.changes:
        yield text, ""
    for name in done.unshipped:
        yield (
            f"{name} ships nothing yet: its figures are locked, though not all is proven",
            "yellow",
        )
    for check in done.refused:
        where = " ".join(part for part in (check.target, check.candidate, check.name) if part)
        yield f"refused: {where} ({check.limit}): {check.message}", "red"
    if done.refused:
        yield "what was refused stays as it was: mend it, or accept it by a [[waiver]]", "dim"
    if not done.changes and not done.refused:
        yield "nothing is better than before", ""
    yield f"lock {path(done.path)}", "dim"


def _shown(entry: LockEntry) -> Iterator[Line]:
    """Yield an entry as a person reads it: a figure a line."""
    from edgekit.report import words

    yield str(entry.tag), "bold"
    yield f"  size {words.exact(entry.bytes)}, network {entry.semantic_hash[:12] or 'unknown'}", ""
    listed = ", ".join(f"{name} {version}" for name, version in entry.operators.items())
    yield f"  operators {listed}", ""
    yield f"  runtime TensorFlow {entry.runtime or '-'}, LiteRT {entry.litert or '-'}", ""
    if entry.arena is not None:
        yield f"  arena {words.exact(entry.arena)}", ""
    for name, metric in entry.metrics.items():
        value = words.value(metric.measured, metric.bounded)
        interval = words.interval(metric.measured, metric.bounded)
        yield f"  {name} {value} {interval} on {metric.measured.n or '?'} items", ""
    if entry.latency is not None:
        latency = entry.latency
        ratio = f", {words.ratio(latency.ratio)} of the reference" if latency.ratio else ""
        cpu = latency.machine.get("cpu", "unknown processor")
        p50, p95 = words.duration(latency.p50), words.duration(latency.p95)
        yield f"  latency p50 {p50}, p95 {p95}{ratio}, on {latency.device} ({cpu})", ""
