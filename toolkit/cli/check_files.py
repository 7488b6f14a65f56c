"""``edgekit check-files``: limits on ``.tflite`` files that need no run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgekit.cli import completers
from edgekit.cli.console import say
from edgekit.cli.help import documented
from edgekit.cli.options import common, option
from edgekit.cli.values import as_size


@documented(
    "check-files",
    (
        "in a pre-commit hook",
        "edgekit check-files model.tflite --max-size '150 kB' --target raspberry-pi-4",
    ),
    (
        "no operator of TensorFlow's own",
        "edgekit check-files model.tflite --forbid-operator FlexErf",
    ),
)
@click.argument(
    "files",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path),
    shell_complete=completers.tflite,
)
@option("--max-size SIZE", "Largest allowed file size, e.g. '150 kB'.", callback=as_size)
@option(
    "--forbid-operator NAME",
    "An operator that no file may have; repeatable.",
    "forbidden",
    multiple=True,
)
@option(
    "--allow-operator NAME", "Allow these operators alone; repeatable.", "allowed", multiple=True
)
@option(
    "--max-runtime RELEASE", "The newest TensorFlow that a file may need, e.g. 2.14.", "runtime"
)
@option(
    "--target ID",
    "A target whose tables the files must fit; repeatable.",
    "targets",
    multiple=True,
    shell_complete=completers.target,
)
@common
def command(files: tuple[Path, ...], **options: Any) -> int:
    """Check .tflite FILES by their bytes alone, without running them or importing TensorFlow.

    This is what the pre-commit hook runs. Accuracy and latency need `edgekit check`.
    """
    from edgekit import api
    from edgekit.inspection import FileLimits

    names = ("allowed", "forbidden", "runtime", "targets")
    limits = FileLimits(options["max_size"], **{name: options[name] for name in names})
    verdict = api.check_files(files, limits)
    if options["as_json"]:
        from edgekit.cli.console import print_json
        from edgekit.report.document import plain

        print_json(plain(verdict))
        return verdict.exit_code
    for check in verdict.checks:
        if options["quiet"] and check.status.value == "passed":
            continue
        named = f"{check.name} {check.target}".strip()
        status = (
            check.status.value if check.status.value == "passed" else check.status.value.upper()
        )
        say(f"{status}: {check.candidate} {named} ({check.limit}): {check.message}")
        if check.fix:
            say(f"  {check.fix}")
    return verdict.exit_code
