"""``edgekit check``: the gate on a finished run."""

from __future__ import annotations

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
@click.argument("report", required=False, type=click.Path(path_type=Path))
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
    """Judge REPORT (report.json, or a run's folder) again. Default: the newest run here.

    Limits come from these options, else from the project file, else from the run itself. With an
    edgekit.lock beside the project file, nothing in it may be worse.
    """
    from edgekit import api, report
    from edgekit.project import FILE, Project

    file, path = options["project_file"], options["report"]
    # A report that is named has its own budgets, unless a project file is named too.
    here = path is None and Path(FILE).is_file()
    project = Project.load(file or FILE) if file or here else None
    if path is None:
        path = api.latest(project.root if project else Path.cwd())
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
