"""``edgekit monitor``: what a deployed model meets and answers, against what it was measured on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgekit.cli import completers
from edgekit.cli.console import console, print_json, print_lines, say
from edgekit.cli.help import documented, section
from edgekit.cli.options import FOLDER, OUTPUT, common, option
from edgekit.cli.outputs import OutputFile
from edgekit.cli.values import as_share, parsed

SLOWDOWN = 0.2


def _as_index(context: click.Context, parameter: click.Parameter, value: str) -> float:
    """Parse a population stability index: above 0."""
    index = float(parsed(float, value))
    if not 0 < index < 10:
        raise click.BadParameter(f"{value!r} is not an index above 0, such as 0.1")
    return index


limits = section(
    "What is an alarm",
    option(
        "--least-drift PSI",
        "Least population stability index that counts. Default: 0.1, as a normal distribution that"
        " moves by a third of its deviation.",
        default="0.1",
        callback=_as_index,
    ),
    option(
        "--max-slowdown SHARE",
        "How much slower p50 may be than the baseline's; p99 two and a half times as much. Default:"
        " 20%.",
        callback=as_share,
    ),
    option(
        "--max-errors SHARE",
        "Share of items that may fail, or hold no numbers, beyond the reference's. Default: 1%.",
        default="1%",
        callback=as_share,
    ),
    option(
        "--false-alarms SHARE",
        "Share of batches that may fail without any change. Default: 1%.",
        default="1%",
        callback=as_share,
    ),
)
files = section(
    OUTPUT,
    option("--markdown FILE", "Write the outcome as Markdown.", type=OutputFile()),
    option("--prometheus FILE", "Write the figures as Prometheus reads them.", type=OutputFile()),
    option("--html FILE", "Write a page with every distribution.", type=OutputFile()),
    option(
        "--items DIR",
        "Write the raw items that stand out, where apps kept some, into a new folder of .npy files."
        " They may hold personal data.",
        type=FOLDER,
    ),
)


@documented(
    "monitor",
    ("the records of an app", "edgekit monitor dist/digits-0.1.0-linux-x86_64.tar.gz records/"),
    (
        "a week against the first one",
        "edgekit monitor BUNDLE 'week7/*.jsonl' --baseline week1/",
    ),
    ("for a dashboard", "edgekit monitor BUNDLE records/ --prometheus digits.prom -q"),
)
@click.argument(
    "bundle",
    type=click.Path(path_type=Path),
    shell_complete=completers.files(".tar.gz"),
)
@click.argument("records", nargs=-1, required=True)
@option(
    "--baseline RECORDS",
    "Hold the batch against these records, of a time that was well, in place of the golden items;"
    " repeatable.",
    multiple=True,
)
@limits
@files
@common
def command(bundle: Path, records: tuple[str, ...], **options: Any) -> int:
    """Tell whether the model of BUNDLE still meets what it was measured on.

    RECORDS are files, folders or patterns of what its apps recorded, - for standard input. Inputs
    and outputs, class balance, confidence, errors and, with a baseline, latency are compared by
    their counts; an alarm is what is large enough to matter and not by chance. The exit code is
    the verdict: 0 passed, 1 failed, 3 unavailable, 4 inconclusive, as with too few items.
    """
    from edgekit import api
    from edgekit.report import monitoring as report

    slowdown = options["max_slowdown"]
    if slowdown is not None and not options["baseline"]:
        message = "--max-slowdown is against --baseline: name records of a time that was well"
        raise click.UsageError(message)
    alarm = api.MonitorLimits(
        options["least_drift"],
        SLOWDOWN if slowdown is None else slowdown,
        options["max_errors"],
        options["false_alarms"],
    )
    monitored = api.monitor(bundle, records, options["baseline"], alarm, options["items"])
    _write(monitored, options)
    if options["as_json"]:
        print_json(report.to_json(monitored))
        return int(monitored.exit_code)
    out = console(False)
    if not options["quiet"]:
        out.print(report.table(monitored, options["verbose"]))
    print_lines(out, report.lines(monitored, options["quiet"]))
    if options["items"] and not options["quiet"]:
        many = f"{monitored.raw_written:,} raw items"
        say(f"{many} are in {options['items']}: lint-data --data reads it")
    return int(monitored.exit_code)


def _write(monitored: Any, options: dict[str, Any]) -> None:
    """Write the files that were asked for."""
    from edgekit.report import monitoring as report
    from edgekit.store import write_text

    if options["markdown"]:
        write_text(options["markdown"], report.markdown(monitored))
    if options["prometheus"]:
        write_text(options["prometheus"], report.prometheus(monitored))
    if options["html"]:
        from edgekit.report.html.monitoring import page

        write_text(options["html"], page(monitored))
