"""``edgekit verify``: verify a bundle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from edgekit.cli import completers
from edgekit.cli.console import progress, say
from edgekit.cli.help import documented
from edgekit.cli.options import FILE, common, device_option, option, project_option
from edgekit.errors import ExitCode
from edgekit.types import Status


@documented(
    "verify",
    ("files, model and golden pairs", "edgekit verify dist/model-1.0-raspberry-pi-4.tar.gz"),
    (
        "signed by your key, and right on the board itself",
        "edgekit verify model.tar.gz --trusted-key key.pem.pub --device ssh://pi@raspberrypi.local",
    ),
)
@click.argument("bundle", type=click.Path(path_type=Path), shell_complete=completers.bundle)
@option(
    "--trusted-key FILE.pub",
    "Require a signature by this public key; repeatable: by one of them.",
    "trusted",
    multiple=True,
    type=FILE,
)
@device_option
@project_option
@common
def command(**options: Any) -> int:
    """Verify BUNDLE: safe paths, every file's digest, its signature, and its self-test.

    The self-test runs the model against its golden pairs: on every --device, by default on the
    runtimes that work here. Nothing else of the bundle is run.
    """
    from edgekit import api
    from edgekit.project import FILE, Project

    file = options["project_file"]
    here = bool(options["devices"]) and Path(FILE).is_file()
    project = Project.load_all(file or FILE)[0] if file or here else None
    with progress(options["quiet"] or not options["devices"]) as display:
        verified = api.verify(
            options["bundle"], options["trusted"], options["devices"], project, display
        )
    asked = bool(options["devices"])
    passed = verified.tested and (verified.tested_everywhere or not asked)
    _show(verified, options, passed)
    return int(ExitCode.PASSED if passed else ExitCode.UNAVAILABLE)


def _show(verified: Any, options: dict[str, Any], passed: bool) -> None:
    """Print what was verified, and plainly what was not."""
    manifest, path = verified.manifest, options["bundle"]
    if options["as_json"]:
        answer = {
            "bundle": str(path),
            "status": (Status.PASSED if passed else Status.UNAVAILABLE).value,
            "files": verified.files,
            "signer": verified.signer or None,
            "trusted": verified.trusted,
            "selftests": dict(verified.selftests),
            "manifest": manifest,
        }
        click.echo(json.dumps(answer))
    elif not options["quiet"]:
        say(f"{manifest['name']} {manifest['version']} for {manifest['target']}")
        say(f"  {verified.files} files, all as in the manifest")
        for line in _signature(verified):
            say(f"  {line}")
        for where, outcome in verified.selftests.items():
            say(f"  self-test on {where}: {outcome}")
    if passed:
        if not options["as_json"]:
            say("verified")
        return
    where = "one of the devices" if options["devices"] else "no runtime here"
    could = "could not run" if options["devices"] else "could run"
    say(f"not verified: the files are intact, but {where} {could} the self-test", err=True)
    say("  `edgekit devices` lists the runtimes that work here", err=True)


def _signature(verified: Any) -> tuple[str, ...]:
    """Say who signed, and what nobody can tell where nobody did."""
    if verified.trusted:
        return (f"signed by the trusted key {verified.signer}",)
    if verified.signer:
        return (
            f"signed by {verified.signer}, which you have not said to trust:"
            " --trusted-key FILE.pub does",
        )
    return (
        "not signed: if somebody changed a file and its digest in the manifest with it,"
        " this was not detected",
    )
