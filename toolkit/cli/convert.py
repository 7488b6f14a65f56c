"""``edgekit convert``: the main job."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from edgekit.cli import completers
from edgekit.cli.command_line import command_line
from edgekit.cli.console import console, print_json, print_lines, progress, say, tell
from edgekit.cli.help import documented, section
from edgekit.cli.options import (
    common,
    compression,
    flag,
    limits,
    model_option,
    model_options,
    option,
    project_option,
)
from edgekit.cli.outputs import (
    counted,
    file_options,
    inconclusive_option,
    show_for_ci,
    write_outputs,
)
from edgekit.cli.plots import page_in, plots_option, run_folder, write_plots
from edgekit.cli.project import model_or_projects, places_of, projects_of
from edgekit.cli.several import errors_code, finish, head
from edgekit.errors import EdgekitError

conversion_options = section(
    "Conversion",
    flag("--unroll", "Unroll recurrent layers: a larger file, which int8 can calibrate."),
    flag(
        "--recover",
        "Where int8 loses too much accuracy, keep as few operators as possible in float.",
    ),
    flag("--as-is", "Convert nothing: check and bundle a .tflite of any precision."),
    option("--reference MODEL", "With --as-is: the model that the file is compared with."),
    flag("--no-evaluate", "Convert only: no metric, no bundle."),
    flag("--layers", "Find where inside the network each file diverges from the SavedModel."),
    flag("--metadata", "Write TFLite Metadata into the files: normalization, labels, names."),
    flag("--flex", "Allow TensorFlow's own operators: a larger app, not tested here."),
)


@documented(
    "convert",
    ("the project of this folder", "edgekit convert"),
    ("any model, without a project", "edgekit convert model.keras --data test.npz --rescale 1/255"),
    (
        "int8 that loses at most one point, for a Raspberry Pi 4",
        "edgekit convert model.keras --data test.npz --precision int8 --max-drop 1pt --target pi4",
    ),
    (
        "check and bundle a file that is quantized already",
        "edgekit convert model.tflite --as-is --data test.npz --target cortex-m4",
    ),
    ("several projects, to one verdict", "edgekit convert speech/edgekit.toml vision"),
)
@click.argument(
    "names", nargs=-1, metavar="[MODEL|PROJECT...]", shell_complete=completers.model_or_project
)
@model_options
@compression
@conversion_options
@limits
@inconclusive_option
@file_options
@plots_option
@project_option
@model_option
@common
def command(**options: Any) -> int:
    """Convert MODEL, check every candidate against its SavedModel, and bundle what passes.

    MODEL is a .keras, an .h5, a SavedModel folder, an architecture .json, a float .tflite,
    file.py:function or module:function; with --as-is a .tflite of any precision. Without MODEL the
    project file names it. A PROJECT is such a file, or its folder. Several projects and several
    [models] are converted one by one, to one verdict: an error of one does not stop the others.
    """
    from edgekit import api, report

    options = model_or_projects(options.pop("names"), options)
    projects, run = projects_of(options), _run_options(options)
    if len(projects) > 1:
        return _several(projects, run, options)
    (project,) = projects
    with progress(options["quiet"]) as display:
        done = counted(api.convert(project, run, display), options)
    write_outputs(done, options)
    folder = run_folder(project, options, done.run)
    show(done, options["as_json"], page_in(folder), options["verbose"], options["quiet"])
    write_plots(done, folder, options)
    show_for_ci(done, options)
    if options["as_json"]:
        print_json(report.to_json(done))
    return done.verdict.exit_code


def _several(projects: tuple[Any, ...], run: Any, options: dict[str, Any]) -> int:
    """Convert several models, and show each when it is done; an error of one is told, and kept."""
    from edgekit import api

    if options["model"] is not None:
        names = ", ".join(project.model.name for project in projects)
        raise click.UsageError(f"MODEL takes the place of one of {names}: pick it with --model")
    places = places_of(projects, options["output"])
    titles = api.told_apart([project.model.name for project in projects], places)
    reports: list[Any] = []
    errors: dict[str, EdgekitError] = {}
    for number, (project, title) in enumerate(zip(projects, titles, strict=True), 1):
        head(title, options)
        plain = title == project.model.name
        plots = project.model.name if plain else f"{project.model.name}-{number}"
        try:
            reports.append(_one_of_several(project, run, options, plots))
        except EdgekitError as error:
            say(str(error), err=True)
            errors[title] = error
    if not reports:
        return errors_code(errors.values())
    kept = [n for n, title in enumerate(titles) if title not in errors]
    own, theirs = [projects[n] for n in kept], [places[n] for n in kept]
    done = replace(api.together(reports, own, theirs, errors), names=tuple(titles[n] for n in kept))
    return finish(done, options, errors_code(errors.values()))


def _one_of_several(project: Any, run: Any, options: dict[str, Any], plots: str) -> Any:
    """Convert a model, show it, and draw its charts into a folder of their own."""
    from edgekit import api

    with progress(options["quiet"]) as display:
        done = api.convert(project, run, display)
    folder = run_folder(project, options, done.run)
    show(done, options["as_json"], page_in(folder), options["verbose"], options["quiet"])
    write_plots(done, folder, {**options, "plots": options["plots"] and options["plots"] / plots})
    return done


def _run_options(options: dict[str, Any]) -> Any:
    """Return what the command line adds to the project."""
    from edgekit import api

    return api.Options(
        output=options["output"],
        evaluate=not options["no_evaluate"],
        force=options["force"],
        trust=options["trust"],
        max_drop=options["max_drop"],
        max_size=options["max_size"],
        max_latency=options["max_latency"],
        max_arena=options["max_arena"],
        precisions_asked=bool(options["precisions"]),
        targets_asked=bool(options["targets"]),
        layers=options["layers"],
        command=command_line(),
    )


def _show_layers(out: Any, details: Any) -> None:
    """Print where candidates diverge, where that was asked for."""
    from edgekit.types.details import LAYERS_UNASKED

    found = details.candidates.values() if details else ()
    if any(one.absent.get("layers") != LAYERS_UNASKED for one in found):
        from edgekit.report.layers import error_lines

        print_lines(out, error_lines(details))


def show(done: Any, as_json: bool, where: Path, verbose: bool = False, quiet: bool = False) -> None:
    """Print the table, what ships, the verdict, and where the report is.

    Where quiet, only the checks that do not pass, and the verdict.
    """
    from edgekit import report

    if quiet:
        told = report.result_lines(done, quiet=True)
        tell([(line.strip(), style) for line, style in told], as_json)
        return
    out = console(as_json)
    out.print()
    out.print(report.table(done))
    out.print()
    if (others := report.outputs_table(done)) is not None:
        out.print(others)
        out.print()
    _show_layers(out, done.details)
    print_lines(out, report.verdict_lines(done))
    if verbose:
        for stage in done.stages:
            spent = "from the store" if stage.cached else f"{stage.seconds:.1f} s"
            print_lines(out, [(f"  {stage.name}: {spent}", "dim")])
    print_lines(out, [(f"report {report.path(where)}", "dim")])
