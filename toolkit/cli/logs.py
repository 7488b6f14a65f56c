"""``edgekit logs``: the TensorBoard logs of past trainings."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from edgekit import quantities
from edgekit.cli.console import print_json
from edgekit.cli.help import documented
from edgekit.cli.options import FOLDER, common, option, project_option
from edgekit.cli.values import Whole


@documented(
    "logs",
    ("what trainings have left", "edgekit logs"),
    ("keep those of the last five of each model", "edgekit logs prune --keep 5"),
)
@click.argument("action", type=click.Choice(["list", "prune"]), default="list")
@option("--keep N", "prune: how many to keep of each model.", type=Whole(min=0))
@option("--output FOLDER", "Folder with build/. Default: the project's.", type=FOLDER)
@project_option
@common
def command(action: str, **options: Any) -> int:
    """List the TensorBoard logs of trainings, or remove old ones.

    \b
    list             logs below build/NAME/logs, the newest of each model first
    prune --keep N   remove all but the newest N of each model

    `edgekit train --tensorboard` shows them while it trains; afterwards
    `tensorboard --logdir build/NAME/logs` does.
    """
    from edgekit import api

    file = options["project_file"]
    output = Path(options["output"] or (Path(file).parent if file else Path.cwd()))
    if action == "prune" and options["keep"] is None:
        raise click.UsageError("prune says how many to keep: edgekit logs prune --keep 5")
    if action == "list" and options["keep"] is not None:
        raise click.UsageError("--keep is for prune: edgekit logs prune --keep 5")
    prune = action == "prune"
    logs = api.prune_logs(output, options["keep"]) if prune else api.training_logs(output)
    if options["as_json"]:
        rows = [
            {"model": one.model, "path": str(one.path), "bytes": one.bytes, "time": one.modified}
            for one in logs
        ]
        print_json({"removed" if prune else "logs": rows})
    elif not options["quiet"]:
        verb = "removed " if prune else ""
        for one in logs:
            day = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.modified))
            click.echo(f"{verb}{one.path}  {quantities.size(one.bytes)}  {day}")
        if not logs:
            click.echo("nothing to remove" if prune else "no training has left logs here")
    return 0
