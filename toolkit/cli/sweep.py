"""``edgekit sweep``: trainings with other settings, to find the best."""

from __future__ import annotations

from typing import Any

import click

from edgekit.cli.console import console, print_json, print_lines, progress
from edgekit.cli.help import documented, section
from edgekit.cli.options import (
    COUNT,
    OUTPUT,
    common,
    model_option,
    option,
    output_option,
    preparation_options,
    project_option,
)
from edgekit.cli.project import project_of


@documented(
    "sweep",
    ("try the settings of [train.sweep], or go on", "edgekit sweep"),
    ("until there are fifty trials", "edgekit sweep --trials 50"),
)
@section(
    "Sweep",
    option("--trials N", "Trials in all. Default: the project's, or 20.", type=COUNT),
)
@preparation_options
@section(OUTPUT, output_option)
@project_option
@model_option
@common
def command(**options: Any) -> int:
    """Train with other settings, and say which are the best.

    `[train.sweep]` of the project names keys of `[train]` and arguments of the model's function,
    and the values to try; Optuna chooses among them. Trials are kept in a journal below .edgekit/:
    a sweep that was killed resumes where it was, in mid-training too. Each trial's logs are beside
    the others' in TensorBoard, with its settings under HParams. `edgekit train --from-sweep` takes
    the best.
    """
    from edgekit import api
    from edgekit.report import plain
    from edgekit.report import sweep as words

    project = project_of({**options, "model": None})
    run = api.Options(output=options["output"])
    with progress(options["quiet"]) as display:
        done = api.sweep(project, run, display, options["trials"])
    if options["as_json"]:
        print_json(plain(done))
    else:
        shown = console(options["as_json"])
        if not options["quiet"]:
            shown.print(words.table(done))
        print_lines(shown, words.lines(done))
    if done.best is None:
        click.echo("no trial came to an end", err=True)
        return 1
    return 0
