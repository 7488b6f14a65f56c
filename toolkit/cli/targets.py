"""``edgekit targets``: the catalog."""

from __future__ import annotations

import dataclasses
import json

import click

from edgekit.cli.inspect import signature_option
from edgekit.cli.options import common
from edgekit.errors import ProjectError, did_you_mean
from edgekit.targets import catalog


@click.command("targets")
@click.argument("action", type=click.Choice(["list", "show", "fit"]), default="list")
@click.argument("target", required=False)
@click.option("--no-run", is_flag=True, help="fit: use the tables only, run nothing.")
@signature_option
@common
def command(
    action: str,
    target: str | None,
    no_run: bool,
    signature: str | None,
    as_json: bool,
    verbose: bool,
    quiet: bool,
) -> int:
    """List the targets, show one, or say which a file fits: edgekit targets fit MODEL.tflite.

    For fit, every runtime that is installed here loads the file and runs it once on zeros, and
    every NPU compiler that is installed here compiles it.
    """
    if action == "fit":
        return _fit(target, no_run, signature, as_json, quiet)
    if signature is not None:
        raise click.UsageError(f"--signature works with fit; {action} reads no file")
    if no_run:
        raise click.UsageError(f"--no-run works with fit; {action} runs nothing")
    if action == "show" and target is None:
        raise click.UsageError("show needs a target: edgekit targets show ID")
    if target is not None and target not in catalog.names():
        close = did_you_mean(target, catalog.names()).lstrip("; ")
        hint = f"{close} known: {', '.join(catalog.names())}".lstrip()
        raise ProjectError("EK-PROJECT-004", f"unknown target {target!r}", hint)
    targets = [catalog.load(target)] if target else list(catalog.every())
    if target is None and not quiet:
        for _, broken in catalog.TARGETS.plugged():
            if broken is not None:
                click.echo(broken, err=True)
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(target) for target in targets], indent=2))
        return 0
    width = max(len(entry.id) for entry in targets)
    for entry in targets:
        runtimes = ", ".join(f"{r.name} {r.version}" for r in entry.runtimes)
        here = "  (this host)" if entry.id == catalog.host() else ""
        click.echo(f"{entry.id:<{width}}  {entry.title}; {runtimes}{here}")
        if action == "show":
            from edgekit.gate.machine import described

            click.echo(f"{'':<{width}}  machine: {described(entry)}")
            for runtime in entry.runtimes:
                if runtime.note:
                    click.echo(f"{'':<{width}}  {runtime.name}: {runtime.note}")
            if entry.npu:
                npu = f"{entry.npu.accelerator}, compiled for by {entry.npu.compiler}"
                click.echo(f"{'':<{width}}  NPU: {npu}")
            for note in entry.notes:
                click.echo(f"{'':<{width}}  {note}")
    return 0


def _fit(model: str | None, no_run: bool, signature: str | None, as_json: bool, quiet: bool) -> int:
    """Say which targets a ``.tflite`` file fits."""
    if model is None:
        raise click.UsageError("fit needs a model: edgekit targets fit MODEL.tflite")
    from edgekit import inspection, scratch
    from edgekit.cli.console import console
    from edgekit.cli.inspect import say
    from edgekit.report import inspection as report

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
    elif not quiet:
        say(console(False), report.target_lines(rows, is_tried=not no_run))
    return 0
