"""``edgekit targets``: the catalog, and which of it a model fits."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit.cli import completers
from edgekit.cli.help import documented
from edgekit.cli.options import common, file_signature_option, flag, project_option
from edgekit.errors import ExitCode, ProjectError, did_you_mean
from edgekit.targets import catalog
from edgekit.targets.catalog import Listed
from edgekit.wrapping import wrapped

if TYPE_CHECKING:
    from edgekit.targets.catalog import Target


# What is completed after each action.
COMPLETED = {
    "list": completers.target,
    "show": completers.target,
    "fit": completers.tflite,
    "validate": completers.project_file,
}


@documented(
    "targets",
    ("every target", "edgekit targets"),
    ("all that is known of one", "edgekit targets show raspberry-pi-4"),
    ("where a file runs, and the nearest fix elsewhere", "edgekit targets fit model.tflite"),
)
@click.argument("action", type=click.Choice(["list", "show", "fit", "validate"]), default="list")
@click.argument(
    "subject",
    required=False,
    metavar="[TARGET|MODEL|FILE|FOLDER]",
    shell_complete=completers.by_action(COMPLETED),
)
@flag("--no-run", "fit: use the tables only, run nothing.")
@file_signature_option
@project_option
@common
def command(
    action: str,
    subject: str | None,
    no_run: bool,
    signature: str | None,
    project_file: Path | None,
    as_json: bool,
    verbose: bool,
    quiet: bool,
) -> int:
    """List the targets, show one, say which a model fits, or check a target's file.

    \b
    edgekit targets                      every target, with its other names
    edgekit targets show pi4             all that is known of one, and from where
    edgekit targets fit MODEL.tflite     which targets run it, and the nearest fix elsewhere
    edgekit targets validate my.toml     what is wrong with a target of your own

    For fit, every runtime that is installed here loads the file and runs it once on zeros, and
    every NPU compiler that is installed here compiles it. Targets of the project file, and of the
    folder targets/ beside it, are in the catalog too.
    """
    if action != "fit" and (signature is not None or no_run):
        option = "--no-run" if no_run else "--signature"
        raise click.UsageError(f"{option} works with fit; {action} runs nothing")
    if action == "validate":
        return _validate(Path(subject or "targets"), as_json, quiet)
    _add_own(project_file, quiet)
    if action == "fit":
        return _fit(subject, no_run, signature, as_json, verbose, quiet)
    if action == "show" and subject is None:
        raise click.UsageError("show needs a target: edgekit targets show ID")
    if subject is None and not quiet:
        for _, broken in catalog.TARGETS.plugged():
            if broken is not None:
                click.echo(broken, err=True)
    _print(action, subject, as_json)
    return 0


def _print(action: str, subject: str | None, as_json: bool) -> None:
    """Print all targets in lines, or what is known of one."""
    if action == "list" and subject is None and not as_json:
        _list(catalog.list_all())
        return
    targets = [_named(subject)] if subject else list(catalog.every())
    if as_json:
        rows = [{**dataclasses.asdict(target), "bundle": target.bundle} for target in targets]
        click.echo(json.dumps(rows, indent=2))
    elif action == "list":
        _list([Listed(target.id, target.title, target.aliases) for target in targets])
    else:
        from edgekit.cli.console import console, print_lines
        from edgekit.report import targets as report

        print_lines(console(False), report.shown(targets[0]))


def _list(targets: Sequence[Listed]) -> None:
    """Print a line for each target, with the other names it is called by."""
    columns = min(shutil.get_terminal_size().columns, 100) if sys.stdout.isatty() else 100
    width = max((len(target.id) for target in targets), default=0) + 2
    beside = columns - width >= 30
    for target in targets:
        names = f" ({', '.join(target.aliases)})" if target.aliases else ""
        here = ", this host" if target.id == catalog.host() else ""
        lines = wrapped(f"{target.title}{here}{names}", columns - (width if beside else 2))
        # Where it is narrow the names stand above their titles.
        if not beside:
            click.echo(target.id)
        for at, line in enumerate(lines):
            name = target.id if beside and not at else ""
            click.echo(f"{name:<{width if beside else 2}}{line}")


def _named(name: str) -> Target:
    if catalog.own_id(name) not in catalog.names():
        close = did_you_mean(name, catalog.spoken()).lstrip("; ")
        hint = f"{close} known: {', '.join(catalog.names())}".lstrip()
        raise ProjectError("EK-PROJECT-004", f"unknown target {name!r}", hint)
    return catalog.load(name)


def _add_own(project_file: Path | None, quiet: bool) -> None:
    """Add the targets of the project file, and of the folder beside it, to the catalog."""
    file = project_file or Path("edgekit.toml")
    own = any(Path("targets").glob("*.toml"))
    if project_file is None and not file.is_file() and not own:
        return
    # Reading project files takes longer than listing the catalog.
    from edgekit.project import own_targets

    for problem in own_targets.add_of(file):
        if not quiet:
            click.echo(f"left out: {problem}", err=True)


def _validate(path: Path, as_json: bool, quiet: bool) -> int:
    """Say what is wrong with a target's TOML file, or with those of a folder."""
    from edgekit import nearby
    from edgekit.inspection.entries import problems

    if not path.exists():
        hint = "name a TOML file, or a folder of them: edgekit targets validate my.toml"
        raise ProjectError("EK-PROJECT-070", f"there is no {path}", nearby.hint(path, hint))
    files = sorted(path.glob("*.toml")) if path.is_dir() else [path]
    if not files:
        raise ProjectError("EK-PROJECT-070", f"{path} holds no TOML file", "")
    checked = [(file, problems(file)) for file in files]
    if as_json:
        rows = [
            {
                "file": str(file),
                "problems": [{"key": p.key, "line": p.line, "message": p.message} for p in wrong],
            }
            for file, wrong in checked
        ]
        click.echo(json.dumps(rows, indent=2))
    else:
        for file, wrong in checked:
            if wrong or not quiet:
                click.echo("\n".join(map(str, wrong)) if wrong else f"{file}: a target")
    return int(ExitCode.USAGE if any(wrong for _, wrong in checked) else ExitCode.PASSED)


def _fit(
    model: str | None,
    no_run: bool,
    signature: str | None,
    as_json: bool,
    verbose: bool,
    quiet: bool,
) -> int:
    """List the targets that a ``.tflite`` file fits."""
    if model is None:
        raise click.UsageError("fit needs a model: edgekit targets fit MODEL.tflite")
    from edgekit import inspection, scratch
    from edgekit.cli.console import console
    from edgekit.cli.inspect import say
    from edgekit.report import fit_board

    inspected = inspection.inspect(model, signature)
    targets = catalog.every()
    trials = inspection.NOTHING
    if not no_run:
        with scratch.held(prefix="edgekit-fit-") as folder:
            path = inspected.path
            if signature is not None:
                path = folder / path.name
                path.write_bytes(inspection.of_signature(inspected.path, signature))
            trials = inspection.try_everywhere(path, targets)
    rows = inspection.fits(inspected, trials)
    if as_json:
        click.echo(json.dumps(inspection.fits_json(rows), indent=2))
    elif quiet:
        say(console(False), fit_board.verdicts(rows))
    else:
        out = console(False)
        out.print(fit_board.board(rows))
        say(out, fit_board.lines(rows, is_tried=not no_run, verbose=verbose))
    return 0
