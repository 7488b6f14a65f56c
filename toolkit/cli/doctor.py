"""``edgekit doctor``: check what works on this machine."""

from __future__ import annotations

import dataclasses
import json

import click

from edgekit.cli.console import say
from edgekit.cli.help import documented
from edgekit.cli.options import common
from edgekit.errors import ExitCode
from edgekit.types import Status


@documented(
    "doctor",
    ("what works here, and how to get what is missing", "edgekit doctor"),
)
@common
def command(as_json: bool, verbose: bool, quiet: bool) -> int:
    """Check what works on this machine, with versions, and how to get what is missing.

    Every runtime runs a model. Exit code 3 where something required does not work.
    """
    from edgekit import api

    checks = []
    for check in api.doctor():
        checks.append(check)
        is_red = check.needed and check.status is not Status.PASSED
        if not as_json and (is_red or not quiet):
            mark = "ok" if check.status is Status.PASSED else check.status.value
            text = f"{check.name:<16} {mark:<12} {check.version}"
            say(f"{text}  ({check.message})" if check.message else text)
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(check) for check in checks], indent=2))
    broken = [f for f in checks if f.needed and f.status is not Status.PASSED]
    return int(ExitCode.UNAVAILABLE if broken else ExitCode.PASSED)
