"""``edgekit check``: the gate on a finished run."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from edgekit.cli.console import print_json
from edgekit.cli.convert import show
from edgekit.cli.help import documented
from edgekit.cli.options import common, limits, model_option, option, project_option
from edgekit.cli.outputs import (
    counted,
    file_options,
    inconclusive_option,
    show_for_ci,
    write_outputs,
)
from edgekit.cli.project import project_of_report
from edgekit.cli.several import finish, head


@documented(
    "check",
    ("judge the newest run here by the project's budgets and its lock", "edgekit check"),
    (
        "by another limit, with files for CI",
        "edgekit check --max-drop 0.5% --junit gate.xml --summary gate.md",
    ),
)
@click.argument("reports", nargs=-1, metavar="[REPORT]...", type=click.Path(path_type=Path))
@option("--metric-output NAME", "Judge only the metric of this output.")
@option(
    "--history FILE|FOLDER",
    "Add the run's figures to this history: a .jsonl file, or a folder.",
    type=click.Path(path_type=Path),
)
@option(
    "--baseline REPORT|git:REF",
    "What the run is held against: a report, a run's folder, a lock, or git:main for the lock of a"
    " branch. Default: edgekit.lock beside the project file, where there is one.",
)
@limits
@inconclusive_option
@file_options
@project_option
@model_option
@common
def command(**options: Any) -> int:
    """Judge REPORT (report.json, a run's folder or a project's). Default: the newest run here.

    Several are judged one by one to one verdict, each by its own limits and lock; so are the
    [models] of a project file, of which --model picks.

    Limits come from these options, else from the project file, else from the run itself. With an
    edgekit.lock beside the project file, nothing in it may be worse.
    """
    from edgekit import api, report

    runs = _runs(options)
    names = [field.name for field in fields(api.CheckOptions)]
    asked = api.CheckOptions(**{name: options[name] for name in names})
    judged = api.check_all(runs, asked, options["baseline"])
    for each in judged.reports if options["history"] else ():
        api.add_to_history(each, options["history"])
    if len(runs) > 1:
        for run, name, each in zip(runs, judged.names, judged.reports, strict=True):
            head(_title(each, run.place, name), options)
            show(each, options["as_json"], _folder(run.path), quiet=options["quiet"])
        return finish(judged, options)
    done = counted(judged.reports[0], options)
    write_outputs(done, options)
    show(done, options["as_json"], _folder(runs[0].path), quiet=options["quiet"])
    show_for_ci(done, options)
    if options["as_json"]:
        print_json(report.to_json(done))
    return done.verdict.exit_code


def _runs(options: dict[str, Any]) -> tuple[Any, ...]:
    """Return the runs that are named, or else the newest of each model of the project."""
    from edgekit import api
    from edgekit.api import FinishedRun
    from edgekit.project import FILE, Project

    places, file, models = options["reports"], options["project_file"], options["model_names"]
    if places and file:
        if len(places) > 1:
            raise click.UsageError("--project is of one run: name the projects' folders instead")
        return (FinishedRun(places[0], project_of_report(places[0], file, models), places[0]),)
    if places:
        return tuple(run for place in places for run in api.runs_at(place, models))
    if file or Path(FILE).is_file():
        return api.runs_of(Project.load_all(file or FILE, models))
    return (FinishedRun(api.latest(Path.cwd()), None, Path.cwd()),)


def _folder(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def _title(report: Any, place: Path, name: str) -> str:
    version = report.model["version"]
    shown = place.as_posix()
    return f"{report.model['name']} {version}" + (f" ({shown})" if shown != "." else "")
