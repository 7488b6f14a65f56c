"""``edgekit report``: a run as an HTML page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from edgekit.cli import completers
from edgekit.cli.console import print_json
from edgekit.cli.help import documented
from edgekit.cli.options import FOLDER, common, flag, option, project_option
from edgekit.cli.outputs import OutputFile
from edgekit.cli.plots import draw, plots_option, write_plots
from edgekit.cli.values import Whole

SERVED_NEVER = {"file": "-o", "compare": "--compare", "plots": "--plots"}


@documented(
    "report",
    ("the newest run here, as one page", "edgekit report"),
    ("for a colleague", "edgekit report --out digits.html"),
    ("a run in progress, in the browser", "edgekit report --serve"),
    ("what changed between two runs", "edgekit report --compare old/report.json new/report.json"),
)
@click.argument(
    "run",
    required=False,
    shell_complete=completers.either(completers.any_run, completers.files(".json")),
)
@option(
    "-o/--out FILE",
    "Where to write the page. Default: report.html in the run's folder.",
    "file",
    type=OutputFile(),
)
@option(
    "--compare A B",
    "Set two runs of one model side by side, A the earlier one.",
    nargs=2,
    shell_complete=completers.either(completers.run, completers.files(".json")),
)
@flag("--serve", "Serve the page to this machine's browser, and follow a run in progress.")
@option(
    "--port N",
    "Where to serve it; 0 for a free one.",
    type=Whole(0, 65535),
    default=8765,
    show_default=True,
)
@plots_option
@option("--output FOLDER", "Folder with the run's .edgekit/. Default: the project's.", type=FOLDER)
@flag("--force", "Overwrite FILE.")
@project_option
@common
def command(**options: Any) -> int:
    """Write RUN as one HTML file that opens anywhere. Default: the newest run here.

    RUN is the folder of a finished run, its report.json, its id, or a project's folder. `convert`,
    `compress`, `evaluate`, `compare` and `bench` write the page themselves; nothing is measured
    again for it.
    """
    from edgekit import api
    from edgekit.report import words

    output = _output(options)
    if options["serve"]:
        return _serve(output, options)
    if options["compare"]:
        if options["run"]:
            raise click.UsageError("--compare names both runs itself: leave RUN out")
        before, folder = (api.find_run(output, name) for name in options["compare"])
        path = api.write_comparison(before, folder, options["file"], options["force"])
    else:
        folder = api.find_run(output, options["run"])
        path = api.write_page(folder, options["file"], options["force"])
    if options["plots"]:
        _draw(folder, before if options["compare"] else None, options)
    if options["as_json"]:
        print_json({"path": str(path.resolve()), "run": folder.resolve().name})
    else:
        click.echo(words.path(path) if options["quiet"] else f"report {words.path(path)}")
    return 0


def _serve(output: Path, options: dict[str, Any]) -> int:
    """Serve the page of a run until it is interrupted."""
    from edgekit import api

    for name, flag_name in SERVED_NEVER.items():
        if options[name]:
            raise click.UsageError(f"--serve writes nothing: leave {flag_name} out")
    folder = api.find_unfinished(output, options["run"])
    with api.serve_run(folder, options["port"]) as server:
        if options["as_json"]:
            print_json({"url": server.url, "run": folder.resolve().name})
        else:
            click.echo(f"run {folder.resolve().name} at {server.url} (Ctrl-C ends it)")
        sys.stdout.flush()
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            click.echo("stopped", err=True)
    return 0


def _draw(folder: Path, before: Path | None, options: dict[str, Any]) -> None:
    """Draw the charts of a run, or what went where from an earlier one."""
    from edgekit.report import charts, details
    from edgekit.report.measured_files import read_run

    if before is None:
        write_plots(read_run(folder), folder, options)
        return
    sides = [charts.run_of(read_run(one), details.read(one)) for one in (before, folder)]
    draw({"overlay": charts.overlay(*sides)}, options)


def _output(options: dict[str, Any]) -> Path:
    """Return the folder that has the runs: the one asked for, or the project's."""
    if options["output"]:
        return Path(options["output"])
    file = options["project_file"]
    return Path(file).parent if file else Path.cwd()
