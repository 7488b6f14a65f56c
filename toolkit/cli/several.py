"""Several models in one command: each is shown by itself, and one verdict ends it."""

from __future__ import annotations

from typing import Any

from edgekit.cli.console import console, print_json, print_lines
from edgekit.cli.outputs import counted, show_for_ci, write_outputs
from edgekit.types import Status


def head(name: str, options: dict[str, Any]) -> None:
    """Print whose figures follow."""
    print_lines(console(options["as_json"]), [(name, "bold")])


def finish(done: Any, options: dict[str, Any]) -> int:
    """Write the files, print the verdict on all models, and return its exit code.

    ``done`` is of :func:`edgekit.api.check_all` or :func:`edgekit.api.together`.
    """
    from edgekit import report

    done = counted(done, options)
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
    line = f"verdict of {len(done.reports)} runs: {mark}"
    against = [
        name
        for name, each in zip(done.names, done.reports, strict=True)
        if each.verdict.status is not Status.PASSED
    ]
    print_lines(out, [(": ".join([line, *filter(None, [", ".join(against)])]), f"bold {style}")])
    show_for_ci(done, options)
    if options["as_json"]:
        verdict = report.plain(done.verdict)
        print_json({"verdict": verdict, "reports": [report.to_json(one) for one in done.reports]})
    return int(done.verdict.exit_code)
