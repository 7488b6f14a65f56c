"""``edgekit check-files``: limits on ``.tflite`` files that need no run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgekit.cli import completers
from edgekit.cli.console import say
from edgekit.cli.help import documented
from edgekit.cli.options import common, option, project_option
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
@project_option
@common
def command(files: tuple[Path, ...], **options: Any) -> int:
    """Check .tflite FILES by their bytes alone, without running them or importing TensorFlow.

    This is what the pre-commit hook runs. Without limits, or with --project, files below the
    project's build/, and a .tflite that is its source, are held to its budgets of size, operators
    and minimum runtime, and to edgekit.lock. Accuracy and latency need `edgekit check`.
    """
    from edgekit import api
    from edgekit.inspection import FileLimits

    names = ("allowed", "forbidden", "runtime", "targets")
    limits = FileLimits(options["max_size"], **{name: options[name] for name in names})
    verdict = api.check_files(files, limits, _projects(limits, options["project_file"]))
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
    if not verdict.checks and not options["quiet"]:
        say("not evaluated: no budget or lock of the project is about these files")
    return verdict.exit_code


def _projects(limits: Any, file: Path | None) -> tuple[Any, ...]:
    """Return the projects whose budgets are limits too."""
    here = Path("edgekit.toml")
    if file is None and not (limits.empty and here.is_file()):
        return ()
    from edgekit.project import Project

    return Project.load_all(file or here)
