"""``edgekit train``: the project's model, trained."""

from __future__ import annotations

import contextlib
from typing import Any

import click

from edgekit.cli import completers
from edgekit.cli.console import progress
from edgekit.cli.export import show
from edgekit.cli.help import documented, section
from edgekit.cli.options import (
    COUNT,
    FOLDER,
    OUTPUT,
    common,
    flag,
    force_option,
    model_option,
    option,
    output_option,
    preparation_options,
    project_option,
)
from edgekit.cli.project import project_of


def _strategies() -> list[tuple[str, str]]:
    from edgekit.project.strategies import ROWS

    return [(row.name, row.what) for row in ROWS]


@documented(
    "train",
    ("the model of this folder's project", "edgekit train"),
    (
        "a function that builds one",
        "edgekit train model.py:build --train-data train.npz --epochs 5",
    ),
    ("in two processes on this machine", "edgekit train --workers 2"),
    ("on Kubernetes, in four", "edgekit train --workers 4 --manifests k8s"),
    ("watched while it trains", "edgekit train --tensorboard"),
    ("line by line, to find an error in a layer or a step", "edgekit train --eager --epochs 1"),
)
@click.argument(
    "model",
    required=False,
    metavar="[FILE.py:FUNCTION]",
    shell_complete=completers.files(".py", functions=True),
)
@section(
    "Training",
    option(
        "--train-data FILE",
        "Labelled items to train on: .npz, a folder, data.py:train, …",
        shell_complete=completers.data,
    ),
    option("--epochs N", "Epochs of training. Default: the project's, or 10.", type=COUNT),
    option(
        "--strategy NAME",
        "Spread it over devices or processes: mirrored, multi_worker, …",
        shell_complete=completers.names(_strategies),
    ),
    option("--workers N", "Train in so many processes on this machine.", type=COUNT),
    option(
        "--manifests DIR",
        "Write Kubernetes manifests of such a training there, and train nothing.",
        type=FOLDER,
    ),
    flag("--tensorboard", "Show it in TensorBoard while it trains, on this machine alone."),
    flag("--from-sweep", "Take the settings of the sweep's best trial: edgekit sweep."),
    flag("--deterministic", "End with the same weights, bit by bit, each time; slower."),
    flag("--eager", "Run it line by line, and show the shapes at a line that fails; slow."),
)
@preparation_options
@section(OUTPUT, output_option, force_option)
@project_option
@model_option
@common
def command(**options: Any) -> int:
    """Train the project's model, and leave it, its SavedModel, its history and TensorBoard's logs
    under build/.

    `edgekit convert` trains by the same function, and takes what is trained already from the store,
    as this command does: only what was changed is trained again. A killed training resumes from its
    last saved state, in mid-epoch too.
    """
    from edgekit import api

    project = project_of(options)
    if options["manifests"]:
        click.echo(api.training_manifests(project, options["manifests"], options["force"]))
        return 0
    run = api.Options(output=options["output"], force=options["force"])
    if options["from_sweep"]:
        project = api.swept(project, run)
    with contextlib.ExitStack() as open_until_done:
        if options["tensorboard"]:
            url = open_until_done.enter_context(api.serve_logs(project, run))
            click.echo(f"TensorBoard at {url} until training ends", err=True)
        display = open_until_done.enter_context(progress(options["quiet"]))
        done = api.train(project, run, display)
    show(done, options)
    return 0
