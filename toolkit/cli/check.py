"""``edgekit check``: the gate on a finished run."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from edgekit.cli.console import print_json
from edgekit.cli.convert import show
from edgekit.cli.options import common, limits, option, project_option
from edgekit.cli.outputs import (
    counted,
    file_options,
    inconclusive_option,
    show_for_ci,
    write_outputs,
)


@click.command("check")
@click.argument("reports", nargs=-1, metavar="[REPORT]...", type=click.Path(path_type=Path))
@click.option("--metric-output", metavar="NAME", help="Judge only the metric of this output.")
@click.option(
    "--history",
    type=click.Path(path_type=Path),
    help="Add the run's figures to this history: a .jsonl file, or a folder.",
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
@common
def command(**options: Any) -> int:
    """Judge REPORT (report.json, a run's folder or a project's). Default: the newest run here.

    Several are judged one by one to one verdict, each by its own limits and lock.

    Limits come from these options, else from the project file, else from the run itself. With an
    edgekit.lock beside the project file, nothing in it may be worse.
    """
    from edgekit import api, report
    from edgekit.project import FILE, Project

    places, file = options["reports"], options["project_file"]
    if len(places) > 1:
        return _several(options)
    path, project = api.run_at(places[0]) if places and not file else (None, None)
    # A report that is named has its own budgets, unless a project is named too.
    if file or (path is None and Path(FILE).is_file()):
        project = Project.load(file or FILE)
    if path is None:
        path = places[0] if places else api.latest(project.root if project else Path.cwd())
    done = api.check(
        path,
        project,
        options["max_drop"],
        options["max_size"],
        options["precisions"],
        options["targets"],
        options["metric_output"],
        options["baseline"],
        options["max_latency"],
        options["max_arena"],
    )
    done = counted(done, options)
    write_outputs(done, options)
    if options["history"]:
        api.add_to_history(done, options["history"])
    folder = path if path.is_dir() else path.parent
    show(done, options["as_json"], folder, quiet=options["quiet"])
    show_for_ci(done, options)
    if options["as_json"]:
        print_json(report.to_json(done))
    return done.verdict.exit_code


def _several(options: dict[str, Any]) -> int:
    """Judge several models' runs: one verdict, and one answer."""
    from edgekit import api, report
    from edgekit.cli.console import console, print_lines

    if options["project_file"]:
        raise click.UsageError("--project is of one run: name the projects' folders instead")
    names = [field.name for field in fields(api.CheckOptions)]
    asked = api.CheckOptions(**{name: options[name] for name in names})
    done = api.check_all(options["reports"], asked, options["baseline"])
    done = counted(done, options)
    write_outputs(done, options)
    for each in done.reports if options["history"] else ():
        api.add_to_history(each, options["history"])
    out = console(options["as_json"])
    for place, each in zip(options["reports"], done.reports, strict=True):
        print_lines(out, [(f"{each.model['name']} {each.model['version']} ({place})", "bold")])
        show(each, options["as_json"], place, quiet=options["quiet"])
    mark, style = report.MARKS[done.verdict.status]
    print_lines(out, [(f"verdict of {len(done.reports)} runs: {mark}", f"bold {style}")])
    show_for_ci(done, options)
    if options["as_json"]:
        verdict = report.plain(done.verdict)
        print_json({"verdict": verdict, "reports": [report.to_json(one) for one in done.reports]})
    return done.verdict.exit_code
