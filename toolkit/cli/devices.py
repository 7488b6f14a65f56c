"""``edgekit devices``: what works now, and environments of other releases."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit.cli.console import common, progress
from edgekit.errors import ExitCode
from edgekit.types import Status

if TYPE_CHECKING:
    from edgekit.targets.devices import DeviceBook
    from edgekit.targets.devices.inventory import Entry

ABSENT = "absent"


@click.command("devices")
@click.argument("action", type=click.Choice(["list", "setup", "remove"]), default="list")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@common
def command(
    action: str, names: tuple[str, ...], as_json: bool, verbose: bool, quiet: bool
) -> int:  # fmt: skip
    """Say which devices work now: every runtime runs a model.

    \b
    list [NAME]...   all devices, or those named; exit code 3 where a named one does not work
    setup NAME       make the environment of a release: local:tflite-runtime==2.14.0
    remove NAME      delete it
    """
    if action == "list":
        return _list(names, as_json, quiet)
    if not names:
        raise click.UsageError(f"{action} needs a device: edgekit devices {action} NAME")
    if action == "setup":
        return _set_up(names, as_json, quiet)
    return _remove(names, as_json, quiet)


def _list(names: tuple[str, ...], as_json: bool, quiet: bool) -> int:
    from edgekit.targets.devices import inventory

    found = inventory.inventory(names, _book())
    _show(found, as_json, quiet)
    broken = names and any(one.status is not Status.PASSED for one in found)
    return int(ExitCode.UNAVAILABLE if broken else ExitCode.PASSED)


def _book() -> DeviceBook:
    """The user's own devices, with those of a project file that lies here."""
    from edgekit.device_book import device_book
    from edgekit.project import FILE, Project

    return device_book(Project.load(FILE) if Path(FILE).is_file() else None)


def _set_up(names: tuple[str, ...], as_json: bool, quiet: bool) -> int:
    from edgekit.targets.devices import environment, inventory, parse

    chosen = [parse(name) for name in names]
    for name in chosen:
        if name.version:
            with tempfile.TemporaryDirectory(prefix="edgekit-") as folder, progress(quiet) as to:
                environment.obtain(name, Path(folder), to)
    found = inventory.inventory(names)
    _show(found, as_json, quiet)
    works = all(one.status is Status.PASSED for one in found)
    return int(ExitCode.PASSED if works else ExitCode.UNAVAILABLE)


def _remove(names: tuple[str, ...], as_json: bool, quiet: bool) -> int:
    from edgekit.targets.devices import environment, parse

    chosen = [parse(name) for name in names]
    if own := next((name.text for name in chosen if not name.version), None):
        raise click.UsageError(f"{own} is no environment: only local:PACKAGE==VERSION is removed")
    with progress(quiet) as to:
        gone = [str(environment.remove(name, to)) for name in chosen]
    if as_json:
        click.echo(json.dumps({"removed": gone}, indent=2))
    elif not quiet:
        for folder in gone:
            click.echo(f"removed {folder}")
    return int(ExitCode.PASSED)


def _show(found: tuple[Entry, ...], as_json: bool, quiet: bool) -> None:
    from edgekit.targets.devices.names import DEFAULT_RUNTIME

    if as_json:
        click.echo(json.dumps([dataclasses.asdict(one) for one in found], indent=2))
        return
    if quiet:
        return
    width = max(len(one.name) for one in found)
    versions = max(len(one.version or ABSENT) for one in found)
    for one in found:
        mark = "ok" if one.status is Status.PASSED else one.status.value
        about = [one.message, *filter(None, [one.environment, one.address])]
        if one.name == f"local:{DEFAULT_RUNTIME}":
            about.append("the default: local")
        text = f"{one.name:<{width}}  {mark:<11}  {one.version or ABSENT:<{versions}}"
        click.echo(f"{text}  ({'; '.join(about)})")
