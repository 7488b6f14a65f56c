"""``edgekit devices``: list what works now; set up and remove runtimes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit.cli import completers
from edgekit.cli.console import console, progress, say
from edgekit.cli.help import documented
from edgekit.cli.options import common, option
from edgekit.errors import ExitCode
from edgekit.types import Status

if TYPE_CHECKING:
    from edgekit.project import Project
    from edgekit.targets.devices.entry import InventoryEntry


@documented(
    "devices",
    ("what works now", "edgekit devices"),
    (
        "another release of a runtime, in an environment of its own",
        "edgekit devices setup local:tflite-runtime==2.14.0",
    ),
    ("does this board answer?", "edgekit devices list ssh://pi@raspberrypi.local"),
)
@click.argument("action", type=click.Choice(["list", "setup", "remove", "create"]), default="list")
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=completers.device)
@option(
    "--wheels FOLDER",
    "setup: install from wheels in this folder instead of the package index.",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
@common
def command(
    action: str,
    names: tuple[str, ...],
    wheels: Path | None,
    as_json: bool,
    verbose: bool,
    quiet: bool,
) -> int:
    """List the devices that work now: every runtime runs a model.

    \b
    list [NAME]...   this host's, or those named; exit code 3 where a named one does not work
    setup NAME       create the environment of a release: local:tflite-runtime==2.14.0
    setup ADDRESS    install a runtime there: ssh://pi@board, ssh://pi@board#tflite-runtime
    remove NAME      delete that environment
    remove ADDRESS   delete all that edgekit installed there, or ADDRESS#PACKAGE==VERSION
    create ADDRESS   create the device itself: emulator://arm64
    """
    if action == "list":
        return _list(names, as_json, quiet)
    if not names:
        raise click.UsageError(f"{action} needs a device: edgekit devices {action} NAME")
    if action == "setup":
        return _set_up(names, wheels, as_json, quiet)
    if action == "create":
        return _create(names, as_json, quiet)
    return _remove(names, as_json, quiet)


def _list(names: tuple[str, ...], as_json: bool, quiet: bool) -> int:
    from edgekit import api

    entries = api.devices(names, _project())
    # What nobody asked for, and is not there, is not red.
    _show(() if quiet and not names and not as_json else entries, as_json, quiet)
    broken = names and any(entry.status is not Status.PASSED for entry in entries)
    return int(ExitCode.UNAVAILABLE if broken else ExitCode.PASSED)


def _project() -> Project | None:
    """Return the project of the current folder, where there is one."""
    from edgekit.project import FILE, Project

    # Devices are those of all of its models.
    return Project.load_all(FILE)[0] if Path(FILE).is_file() else None


def _set_up(names: tuple[str, ...], wheels: Path | None, as_json: bool, quiet: bool) -> int:
    from edgekit import api

    with progress(quiet) as to:
        entries = api.set_up_devices(names, _project(), to, wheels)
    _show(entries, as_json, quiet)
    works = all(entry.status is Status.PASSED for entry in entries)
    return int(ExitCode.PASSED if works else ExitCode.UNAVAILABLE)


def _create(names: tuple[str, ...], as_json: bool, quiet: bool) -> int:
    from edgekit import api

    with progress(quiet) as to:
        made = api.create_devices(names, _project(), to)
    _say("created", [str(one) for one in made], as_json, quiet)
    return int(ExitCode.PASSED)


def _remove(names: tuple[str, ...], as_json: bool, quiet: bool) -> int:
    from edgekit import api

    with progress(quiet) as to:
        gone = api.remove_devices(names, _project(), to)
    _say("removed", list(gone), as_json, quiet)
    return int(ExitCode.PASSED)


def _say(done: str, folders: list[str], as_json: bool, quiet: bool) -> None:
    if as_json:
        click.echo(json.dumps({done: folders}, indent=2))
    elif not quiet:
        for folder in folders:
            say(f"{done} {folder}")


def _show(entries: tuple[InventoryEntry, ...], as_json: bool, quiet: bool) -> None:
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(entry) for entry in entries], indent=2))
        return
    if quiet:
        entries = tuple(entry for entry in entries if entry.status is not Status.PASSED)
    if not entries:
        return
    from edgekit.report import inventory
    from edgekit.targets.devices.names import DEFAULT_RUNTIME

    console(as_json).print(inventory.table(entries, f"local:{DEFAULT_RUNTIME}"))
