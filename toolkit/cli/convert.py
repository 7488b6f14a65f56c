"""``edgekit convert``: the main job."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from edgekit.cli.console import common, console, progress, project_option
from edgekit.cli.options import compression, limits, model_options, project_of


@click.command("convert")
@click.argument("model", required=False)
@model_options
@compression
@click.option(
    "--unroll",
    is_flag=True,
    help="Unroll recurrent layers: a larger file, which int8 can calibrate.",
)
@click.option(
    "--recover",
    is_flag=True,
    help="Where int8 loses too much accuracy, keep as few operators as possible in float.",
)
@click.option(
    "--as-is", is_flag=True, help="Convert nothing: check and bundle a .tflite of any precision."
)
@click.option(
    "--reference", metavar="MODEL", help="With --as-is: the model that the file is compared with."
)
@click.option("--no-evaluate", is_flag=True, help="Convert only: no metric, no bundle.")
@click.option(
    "--metadata",
    is_flag=True,
    help="Write TFLite Metadata into the files: normalization, labels, names.",
)
@click.option(
    "--flex",
    is_flag=True,
    help="Allow TensorFlow's own operators: a larger app, not tested here.",
)
@limits
@project_option
@common
def command(**options: Any) -> int:
    """Convert MODEL, check every candidate against its SavedModel, and bundle what passes.

    MODEL is a .keras, an .h5, a SavedModel folder, an architecture .json, a float .tflite,
    file.py:function or module:function; with --as-is a .tflite of any precision. Without MODEL the
    project file names it.
    """
    from edgekit import api, report

    project = project_of(options)
    asked = api.Options(
        output=options["output"],
        evaluate=not options["no_evaluate"],
        force=options["force"],
        trust=options["trust"],
        max_drop=options["max_drop"],
        max_size=options["max_size"],
        precisions_asked=bool(options["precisions"]),
        targets_asked=bool(options["targets"]),
    )
    with progress(options["quiet"]) as display:
        done = api.convert(project, asked, display)
    root = (asked.output or project.root).resolve()
    show(
        done,
        options["as_json"],
        root / ".edgekit" / "runs" / done.run,
        options["verbose"],
        options["quiet"],
    )
    if options["as_json"]:
        click.echo(json.dumps(report.to_json(done), indent=2, allow_nan=False))
    return done.verdict.exit_code


def show(
    done: Any, as_json: bool, folder: Path, verbose: bool = False, quiet: bool = False
) -> None:
    """Print the table, what ships, the verdict, and the folder of the report.

    Where quiet, only the checks that do not pass or have a limit, and the verdict.
    """
    from edgekit import report

    out = console(as_json)
    if quiet:
        for line, style in report.result_lines(done):
            out.print(line.strip(), style=style, markup=False, soft_wrap=True)
        return
    out.print()
    out.print(report.table(done))
    out.print()
    if (others := report.outputs_table(done)) is not None:
        out.print(others)
        out.print()
    for line, style in report.verdict_lines(done):
        out.print(line, style=style, markup=False, soft_wrap=True)
    if verbose:
        for stage in done.stages:
            spent = "from the store" if stage.cached else f"{stage.seconds:.1f} s"
            out.print(f"  {stage.name}: {spent}", style="dim", markup=False)
    out.print(f"report {report.path(folder)}", style="dim", soft_wrap=True)
