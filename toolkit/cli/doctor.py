"""``edgekit doctor``: what works here."""

from __future__ import annotations

import dataclasses
import json

import click

from edgekit.cli.console import common
from edgekit.errors import ExitCode
from edgekit.types import Status


@click.command("doctor")
@common
def command(as_json: bool, verbose: bool, quiet: bool) -> int:
    """Say what works on this machine, with versions, and how to get what is missing.

    Every runtime runs a model. Exit code 3 where something needed does not work.
    """
    from edgekit import api

    findings = []
    for finding in api.doctor():
        findings.append(finding)
        if not as_json and not quiet:
            mark = "ok" if finding.status is Status.PASSED else finding.status.value
            text = f"{finding.name:<15} {mark:<12} {finding.version}"
            click.echo(f"{text}  ({finding.message})" if finding.message else text)
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=2))
    broken = [f for f in findings if f.needed and f.status is not Status.PASSED]
    return int(ExitCode.UNAVAILABLE if broken else ExitCode.PASSED)
