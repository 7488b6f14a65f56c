"""``edgekit report``: a run as an HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgekit.cli.console import print_json
from edgekit.cli.options import FOLDER, common, flag, option, project_option
from edgekit.cli.outputs import OutputFile


@click.command("report")
@click.argument("run", required=False)
@click.option(
    "-o",
    "--out",
    "file",
    metavar="FILE",
    type=OutputFile(),
    help="Where to write the page. Default: report.html in the run's folder.",
)
@option("--output", "Folder with the run's .edgekit/. Default: the project's.", type=FOLDER)
@flag("--force", "Overwrite FILE.")
@project_option
@common
def command(**options: Any) -> int:
    """Write RUN as one HTML file that opens anywhere. Default: the newest run here.

    RUN is the folder of a finished run, its report.json, its id, or a project's folder. `edgekit
    convert` and `edgekit compress` write the page themselves; no model is opened again for it.
    """
    from edgekit import api
    from edgekit.report import words

    folder = api.find_run(_output(options), options["run"])
    path = api.write_page(folder, options["file"], options["force"])
    if options["as_json"]:
        print_json({"path": str(path.resolve()), "run": folder.resolve().name})
    else:
        click.echo(words.path(path) if options["quiet"] else f"report {words.path(path)}")
    return 0


def _output(options: dict[str, Any]) -> Path:
    """Return the folder that has the runs: the one asked for, or the project's."""
    if options["output"]:
        return Path(options["output"])
    file = options["project_file"]
    return Path(file).parent if file else Path.cwd()
