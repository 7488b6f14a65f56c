"""``edgekit promote``: a version takes a place only where it is proven not worse."""

from __future__ import annotations

from typing import Any

import click

from edgekit.cli import completers
from edgekit.cli.console import console, print_json, print_lines
from edgekit.cli.help import documented
from edgekit.cli.options import common, model_option, option, project_option
from edgekit.cli.registry import place_of, project_of_model, registry_option
from edgekit.cli.values import as_drop, as_share


@documented(
    "promote",
    ("let version 2 be champion, if it is proven not worse", "edgekit promote 2"),
    ("with the reason on record", "edgekit promote digits:2 --reason 'trained on night scenes'"),
)
@click.argument("version", shell_complete=completers.version)
@option("--to ALIAS", "What the version is to stand for. Default: champion.", default="champion")
@option("--reason TEXT", "Why, for the record.")
@option(
    "--max-drop DROP",
    "What a metric may lose against the champion: 1%, 1pt or 0.01. Default: [lock] max_drop, else"
    " a point.",
    callback=as_drop,
)
@option(
    "--max-slowdown SHARE",
    "How much slower it may be, e.g. 20%. Default: [lock] max_slowdown, else 10%.",
    callback=as_share,
)
@registry_option
@project_option
@model_option
@common
def command(version: str, **options: Any) -> int:
    """Let VERSION be champion, where the gate proves that it is not worse than the one before.

    Metrics are paired item by item, so both runs must have evaluated the same items; latency is
    compared on the same device. What is not proven is refused, with the number of items that would
    settle it. `edgekit registry rollback` goes back.
    """
    from edgekit import api, report

    place = place_of(options)
    done = api.promote(
        version,
        options["to"],
        project_of_model(options, place.find(version).model),
        options["reason"] or "",
        options["max_drop"],
        options["max_slowdown"],
        place,
    )
    if options["as_json"]:
        document = report.to_json(done.report)["verdict"]
        print_json(
            {
                "version": str(done.version),
                "alias": done.alias,
                "before": done.before,
                "promoted": done.done,
                "verdict": document,
            }
        )
        return done.report.verdict.exit_code
    lines = [*report.result_lines(done.report, options["quiet"])]
    if done.done:
        instead = (
            f", instead of {done.before}" if done.before not in (None, done.version.number) else ""
        )
        lines.append((f"{done.version} is {done.alias}{instead}", "bold green"))
    else:
        stays = f"{done.version.model}:{done.before}" if done.before else "none"
        lines.append((f"not promoted: {done.alias} is {stays}, as before", "bold"))
    print_lines(console(False), lines)
    return done.report.verdict.exit_code
