"""``edgekit bundle``: bundles of a finished run, or of a ``.tflite`` as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgekit.cli.console import console, print_json, progress
from edgekit.cli.options import common, data_options, loading_options, project_option
from edgekit.cli.project import project_of
from edgekit.cli.values import as_size
from edgekit.errors import ExitCode


@click.command("bundle")
@click.argument("source", required=False, metavar="[MODEL|RUN]")
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="ID",
    help="A target; repeatable. Default: the run's.",
)
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    metavar="NAME",
    help="A kind of bundle that the target takes; repeatable. Default: its first.",
)
@click.option(
    "--sign",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="KEY",
    help="Sign with this private key of `edgekit keys new`.",
)
@click.option(
    "--delta-from",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="OLD",
    help="Also make a delta from this older bundle; `edgekit apply` rebuilds the new one.",
)
@click.option(
    "--max-delta",
    metavar="SIZE",
    callback=as_size,
    help="With --delta-from: exit code 1 where the delta is larger, e.g. '20 kB'.",
)
@data_options
@loading_options
@click.option("--force", is_flag=True, help="Overwrite files that edgekit did not write.")
@project_option
@common
def command(**options: Any) -> int:
    """Make bundles without measuring again, below dist/.

    RUN is a finished run of `edgekit convert` (its folder, or its id); by default the newest here.
    MODEL is a .tflite file, which is bundled as it is and not judged: its golden pairs are made
    from --data, or from random inputs where there is none.
    """
    from edgekit import api

    source = options["source"]
    project = _project(source, options)
    asked = api.BundleOptions(
        options["targets"], options["kinds"], options["sign"], options["delta_from"]
    )
    run = api.Options(output=options["output"], force=options["force"], trust=options["trust"])
    file = source is not None and source.endswith(".tflite")
    if file:
        source = str(Path(source).resolve())
    with progress(options["quiet"] or not file) as display:
        made = api.bundle(project, source, asked, run, display)
    _show(made, options["as_json"], options["quiet"])
    return _judged(made, options["max_delta"])


def _judged(made: Any, most: int | None) -> int:
    """Tell whether every delta is as small as it must be."""
    from edgekit.report import words

    failed = False
    for one in made if most is not None else ():
        if one.delta_bytes is None or most is None:
            raise click.UsageError("--max-delta judges the delta that --delta-from OLD makes")
        if one.delta_bytes > most:
            failed = True
            told = f"{words.size(one.delta_bytes)}, at most {words.size(most)}"
            click.echo(f"failed: delta size of {one.target}: {told}", err=True)
    return int(ExitCode.FAILED if failed else ExitCode.PASSED)


def _project(source: str | None, options: dict[str, Any]) -> Any:
    """Return the project: of a file that is named alone, one around it; else this folder's."""
    from edgekit.project import FILE, Project

    file = options["project_file"]
    model = source if source is not None and source.endswith(".tflite") else None
    if model is None and file is None and not Path(FILE).is_file():
        return Project.parse({"model": {"source": "model.tflite"}}, Path.cwd())
    return project_of({**options, "model": model, "targets": (), "kinds": ()})


def _show(made: Any, as_json: bool, quiet: bool) -> None:
    """Print each bundle with what its parts take."""
    from edgekit.report import plain, words

    if as_json:
        print_json({"bundles": [plain(one) for one in made]})
        return
    out = console(as_json)
    for one in made:
        packed = one.bundle
        line = f"bundle {words.path(packed.path)} ({words.size(packed.bytes)}, {packed.kind})"
        out.print(line, markup=False, soft_wrap=True)
        if quiet:
            continue
        parts = ", ".join(f"{name} {words.size(count)}" for name, count in packed.parts.items())
        out.print(f"  unpacked: {parts}", style="dim", markup=False, soft_wrap=True)
        if one.delta:
            line = f"  delta {words.path(one.delta)} ({words.size(one.delta_bytes or 0)})"
            out.print(line, markup=False, soft_wrap=True)
        if one.signer:
            out.print(f"  signed by {one.signer}", style="dim", markup=False, soft_wrap=True)
