"""``edgekit bundle``: bundles of a finished run, or of a ``.tflite`` as it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from edgekit.cli import completers
from edgekit.cli.console import console, print_json, print_lines, progress
from edgekit.cli.help import documented, section
from edgekit.cli.options import (
    FILE,
    OUTPUT,
    common,
    data_options,
    flag,
    force_option,
    loading_options,
    model_option,
    option,
    project_option,
)
from edgekit.cli.project import project_of
from edgekit.cli.values import as_size
from edgekit.errors import ExitCode


@documented(
    "bundle",
    (
        "a signed bundle of the newest run, for another target",
        "edgekit bundle --target raspberry-pi-4 --sign key.pem",
    ),
    ("a file as it is, for an Android app", "edgekit bundle model.tflite --target android-arm64"),
)
@click.argument(
    "source",
    required=False,
    metavar="[MODEL|RUN]",
    shell_complete=completers.either(completers.run, completers.tflite),
)
@option(
    "--target ID",
    "A target; repeatable. Default: the run's.",
    "targets",
    multiple=True,
    shell_complete=completers.target,
)
@flag("--all", "Every target, or every one that takes the --kind.")
@option(
    "--kind NAME",
    "A kind of bundle that the target takes; repeatable. Default: its first.",
    "kinds",
    multiple=True,
)
@option("--sign KEY", "Sign with this private key of `edgekit keys new`.", type=FILE)
@option(
    "--delta-from OLD",
    "Also make a delta from this older bundle; `edgekit apply` rebuilds the new one.",
    type=FILE,
)
@option(
    "--max-delta SIZE",
    "With --delta-from: exit code 1 where the delta is larger, e.g. '20 kB'.",
    callback=as_size,
)
@data_options
@loading_options
@section(OUTPUT, force_option)
@project_option
@model_option
@common
def command(**options: Any) -> int:
    """Make bundles without measuring again, below dist/.

    RUN is a finished run of `edgekit convert` (its folder, or its id); by default the newest here.
    MODEL is a .tflite file, which is bundled as it is and not judged: its golden pairs are made
    from --data, or from random inputs where there is none.

    Of several bundles those that can be made are, and a table says why the others are not; the exit
    code is the worst of theirs.
    """
    from edgekit import api

    source = options["source"]
    _check(options)
    project = _project(source, options)
    asked = api.BundleOptions(
        options["targets"], options["kinds"], options["sign"], options["delta_from"], options["all"]
    )
    run = api.Options(output=options["output"], force=options["force"], trust=options["trust"])
    file = source is not None and source.endswith(".tflite")
    if file:
        source = str(Path(source).resolve())
    with progress(options["quiet"] or not file) as display:
        done = api.bundle(project, source, asked, run, display)
    _show(done, options["as_json"], options["quiet"])
    if options["max_delta"] is not None and not _is_small(done.made[0], options["max_delta"]):
        return int(ExitCode.FAILED)
    return int(done.exit_code)


def _check(options: dict[str, Any]) -> None:
    """Refuse options that do not go together, before anything is made."""
    if options["all"] and options["targets"]:
        raise click.UsageError("--all is every target: name no --target besides")
    if options["max_delta"] is not None and options["delta_from"] is None:
        raise click.UsageError("--max-delta judges the delta that --delta-from OLD makes")


def _is_small(made: Any, most: int) -> bool:
    """Tell whether a delta is as small as it must be."""
    from edgekit.report import words

    if made.delta_bytes <= most:
        return True
    sizes = f"{words.size(made.delta_bytes)}, at most {words.size(most)}"
    click.echo(f"failed: delta size of {made.target}: {sizes}", err=True)
    return False


def _project(source: str | None, options: dict[str, Any]) -> Any:
    """Return the project: of a file that is named alone, one around it; else this folder's."""
    from edgekit.project import FILE, Project

    file = options["project_file"]
    model = source if source is not None and source.endswith(".tflite") else None
    if model is None and file is None and not Path(FILE).is_file():
        return Project.parse({"model": {"source": "model.tflite"}}, Path.cwd())
    return project_of({**options, "model": model, "targets": (), "kinds": ()})


def _show(done: Any, as_json: bool, quiet: bool) -> None:
    """Print each bundle with what its parts take; where one is not made, a table of all."""
    if as_json:
        _print_json(done)
        return
    out = console(as_json)
    for one in done.made:
        print_lines(out, _lines(one, quiet))
    if done.unmade:
        out.print(_table(done))


def _print_json(done: Any) -> None:
    from edgekit.report import plain

    unmade = [
        {
            "target": bundle.target,
            "kind": bundle.kind,
            "status": bundle.status.value,
            "code": bundle.error.code,
            "message": bundle.error.message,
            "hint": bundle.error.hint,
        }
        for bundle in done.unmade
    ]
    print_json({"bundles": [plain(one) for one in done.made], "not_made": unmade})


def _lines(made: Any, quiet: bool) -> Iterator[tuple[str, str | None]]:
    from edgekit.report import words

    packed = made.bundle
    yield f"bundle {words.path(packed.path)} ({words.size(packed.bytes)}, {packed.kind})", None
    if quiet:
        return
    parts = ", ".join(f"{name} {words.size(count)}" for name, count in packed.parts.items())
    yield f"  unpacked: {parts}", "dim"
    if made.delta:
        yield f"  delta {words.path(made.delta)} ({words.size(made.delta_bytes or 0)})", None
    if made.signer:
        yield f"  signed by {made.signer}", "dim"


def _table(done: Any) -> Any:
    """Return the table of what was made, and what was not and why."""
    from edgekit.report import words
    from edgekit.report.grid import Row, grid, single_lines
    from edgekit.report.table import MARKS

    rows = [
        single_lines(one.target, words.size(one.bundle.bytes), f"made: {one.bundle.kind}")
        for one in done.made
    ]
    for unmade in done.unmade:
        mark, style = MARKS[unmade.status]
        reason = f"not made: {mark}, because {unmade.error.message} ({unmade.error.code})"
        cells = ((unmade.target, ""), (words.NONE, ""), (reason, unmade.error.hint))
        rows.append(Row(cells, style))
    return grid((("target", ""), ("size", ""), ("outcome", "")), rows)
