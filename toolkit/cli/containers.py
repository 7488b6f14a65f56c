"""``edgekit containers``: Dockerfiles and Kubernetes manifests of a project."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgekit.cli.console import print_json
from edgekit.cli.help import documented
from edgekit.cli.options import (
    FOLDER,
    common,
    flag,
    force_option,
    model_option,
    option,
    project_option,
)
from edgekit.cli.project import project_of


@documented(
    "containers",
    ("Dockerfiles, and manifests of what has an image", "edgekit containers"),
    ("in another folder of the project", "edgekit containers --output docker"),
)
@option(
    "--output DIR",
    "Where they are written, below the project.",
    type=FOLDER,
    default=Path("deploy"),
)
@flag(
    "--hashes",
    "Ask the package index for the sha256 of each file that the images install, and pin it.",
)
@force_option
@project_option
@model_option
@common
def command(**options: Any) -> int:
    """Write Dockerfiles that train and serve the project's model, and Kubernetes manifests.

    Images install the packages of this environment, each in its version. Manifests are of `edgekit
    serve`, stable and canary, where [containers] names an image, and of a training in several
    workers, where [train.kubernetes] does.
    """
    from edgekit import api

    project = project_of({**options, "model": None})
    folder = project.root / options["output"]
    written = api.container_files(project, folder, options["force"], options["hashes"])
    if options["as_json"]:
        print_json({"written": [str(path) for path in written]})
    elif not options["quiet"]:
        from edgekit.report import path as shown

        for path in written:
            click.echo(shown(path))
        if options["hashes"]:
            click.echo("hashes: from the wheels in the folder, else from the index that pip asks")
    return 0
