"""Several models in one command: each is shown by itself, and one verdict ends it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from edgekit.cli.console import console, print_json, print_lines
from edgekit.cli.outputs import counted, show_for_ci, write_outputs
from edgekit.errors import EdgekitError, ExitCode
from edgekit.types import Status

# Nothing was judged: no exit code of a verdict hides it.
NO_VERDICT = (ExitCode.INTERNAL, ExitCode.USAGE)
FIRST = (
    *NO_VERDICT,
    ExitCode.FAILED,
    ExitCode.INCOMPATIBLE,
    ExitCode.UNAVAILABLE,
    ExitCode.INCONCLUSIVE,
)


def head(name: str, options: dict[str, Any]) -> None:
    """Print whose figures follow."""
    print_lines(console(options["as_json"]), [(name, "bold")])


def errors_code(errors: Iterable[EdgekitError]) -> int:
    """Return the exit code of errors that ended some of several: the one that goes before."""
    codes = {int(error.exit_code) for error in errors}
    return next((int(code) for code in FIRST if code in codes), 0)


def finish(done: Any, options: dict[str, Any], stopped: int = 0) -> int:
    """Write the files, print the verdict on all models, and return its exit code.

    ``done`` is of :func:`edgekit.api.check_all` or :func:`edgekit.api.together`, ``stopped`` the
    exit code of errors that ended some. What is not a verdict on a model goes before every verdict.
    """
    from edgekit import report

    done = counted(done, options)
    if stopped in NO_VERDICT:
        done = replace(done, verdict=replace(done.verdict, exit_code=stopped))
    write_outputs(done, options)
    out = console(options["as_json"])
    own = {id(check) for each in done.reports for check in each.verdict.checks}
    for check in done.verdict.checks:
        # What is of no run: a model of the lock that is gone.
        if id(check) not in own:
            limit = f" ({check.limit})" if check.limit else ""
            line = f"{report.MARKS[check.status][0]}: {check.name}{limit}: {check.message}"
            print_lines(out, [(line, report.MARKS[check.status][1])])
    mark, style = report.MARKS[done.verdict.status]
    count = len(done.reports)
    counts = [f"verdict of {count} {'run' if count == 1 else 'runs'}"]
    counts += [f"and {len(done.errors)} that had an error"] if done.errors else []
    line = f"{' '.join(counts)}: {mark}"
    against = [
        name
        for name, each in zip(done.names, done.reports, strict=True)
        if each.verdict.status is not Status.PASSED
    ]
    named = ", ".join([*against, *done.errors])
    print_lines(out, [(": ".join([line, *filter(None, [named])]), f"bold {style}")])
    show_for_ci(done, options)
    if options["as_json"]:
        verdict = report.plain(done.verdict)
        print_json({"verdict": verdict, "reports": [report.to_json(one) for one in done.reports]})
    return int(done.verdict.exit_code)
