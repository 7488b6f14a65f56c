"""``edgekit history``: figures of past runs, and where they stepped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgekit.cli.console import console, print_json, print_lines
from edgekit.cli.help import documented
from edgekit.cli.options import COUNT, FILE, common, option, project_option

ADD_ONLY = {"commit": "--commit"}
SHOW_ONLY = {
    "figures": "--figure",
    "targets": "--target",
    "models": "--model",
    "candidate": "--candidate",
    "last": "--last",
    "picture": "--picture",
}


@documented(
    "history",
    ("trends, and where they stepped", "edgekit history"),
    ("append the newest run here", "edgekit history add"),
    (
        "draw the size of the last 20 runs",
        "edgekit history --figure size --last 20 --picture trend.svg",
    ),
)
@click.argument("action", type=click.Choice(["show", "add"]), default="show")
@click.argument("report", required=False, type=click.Path(path_type=Path))
@option(
    "--history FILE|FOLDER",
    "Where the history is. Default: edgekit-history.jsonl beside the project file.",
    "book",
    type=click.Path(path_type=Path),
)
@option("--commit REV", "add: the commit that the run was made of. Default: HEAD.")
@option("--figure NAME", "Show this figure, e.g. size; repeatable.", "figures", multiple=True)
@option("--target ID", "Show what this target ships; repeatable.", "targets", multiple=True)
@option("--model NAME", "Show this model; repeatable.", "models", multiple=True)
@option("--candidate ID", "Show this candidate, whichever target ships it.")
@option("--last N", "Show the newest N runs.", type=COUNT)
@option("--picture FILE", "Draw the trends: .png or .svg.", type=FILE)
@project_option
@common
def command(action: str, report: Path | None, **options: Any) -> int:
    """Show how figures went from run to run, and at which run and commit they stepped.

    \b
    edgekit history                 trends and steps of edgekit-history.jsonl
    edgekit history add [REPORT]    append a run's figures; default: the newest run here

    `edgekit check --history FILE` appends the run that it judges. Commit the file.
    """
    wrong = SHOW_ONLY if action == "add" else ADD_ONLY
    for name, flag in wrong.items():
        if options[name]:
            raise click.UsageError(f"{flag} does not work with {action}")
    if action == "show" and report is not None:
        raise click.UsageError("REPORT works with add; name a history with --history")
    root = _root(options["project_file"])
    from edgekit.history import BOOK

    book = options["book"] or root / BOOK
    if action == "add":
        return _add(report, book, root, options)
    return _show(book, options)


def _root(project_file: Path | None) -> Path:
    return project_file.parent if project_file else Path()


def _add(report: Path | None, book: Path, root: Path, options: dict[str, Any]) -> int:
    from edgekit import api
    from edgekit import report as reports

    done = reports.read(report or api.latest(root))
    added = api.add_to_history(done, book, options["commit"])
    if options["as_json"]:
        print_json({"history": str(book), "run": done.run, "added": added})
    elif not options["quiet"]:
        click.echo(f"{book}: {'added' if added else 'already has'} run {done.run}")
    return 0


def _show(book: Path, options: dict[str, Any]) -> int:
    from edgekit import api
    from edgekit.report import history as report

    names = options["figures"], options["targets"], options["models"]
    done = api.trends(book, *names, options["candidate"], options["last"])
    if options["picture"]:
        report.draw(done.trends, options["picture"])
    if options["as_json"]:
        print_json(report.to_json(done.trends, done.between))
    else:
        out = console(False)
        if not options["quiet"]:
            out.print(report.table(done.trends))
        print_lines(out, report.lines(done.trends, done.between))
        if options["picture"] and not options["quiet"]:
            click.echo(f"picture {options['picture']}")
    return 0
