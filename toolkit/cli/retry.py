"""``--inconclusive retry``: measure more while nothing is decided, for as long as may be."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

import click

from edgekit.cli.help import section
from edgekit.cli.options import CI, option
from edgekit.cli.values import as_seconds

Done = TypeVar("Done", bound=Any)
# Each attempt measures twice as much as the one before it.
ATTEMPTS = 3

retry_options = section(
    CI,
    option(
        "--inconclusive",
        "What inconclusive checks count as, or retry: measure up to four times as much. Default:"
        " neither, exit code 4.",
        type=click.Choice(["fail", "pass", "retry"]),
    ),
    option(
        "--retry-for TIME",
        "With --inconclusive retry: start no attempt that may end later than this.",
        default="10m",
        show_default=True,
        callback=as_seconds,
    ),
)


def measured(
    measure: Callable[[int], Done],
    options: dict[str, Any],
    may_settle: Callable[[Done], bool] = lambda _: True,
) -> Done:
    """Measure, and with --inconclusive retry again, twice as much, while nothing is decided.

    ``measure`` takes how many times as much to measure as was asked for, ``may_settle`` tells
    whether more of it can decide what was found.
    """
    started = time.monotonic()
    done = measure(1)
    if options["inconclusive"] != "retry":
        return done
    last = time.monotonic() - started
    for attempt in range(1, ATTEMPTS):
        if not is_inconclusive(done) or not may_settle(done):
            break
        spent = time.monotonic() - started
        if spent + 2 * last > options["retry_for"]:
            say(f"inconclusive: a further attempt may take {2 * last:.0f} s, more than is left")
            break
        say(f"inconclusive: measuring {2**attempt} times as much")
        begun = time.monotonic()
        done = measure(2**attempt)
        last = time.monotonic() - begun
    return done


def is_inconclusive(done: Any) -> bool:
    """Tell whether nothing but what is inconclusive stands against a verdict."""
    from edgekit.types import Status

    return bool(done.verdict.status is Status.INCONCLUSIVE)


def say(text: str) -> None:
    """Print a line about the attempts beside the progress."""
    click.echo(text, err=True)


def refuse_retry(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> str | None:
    """Refuse ``retry`` where a command measures nothing that more of would decide."""
    if value != "retry":
        return value
    reasons = {
        "check": "`edgekit check` judges a finished run and measures nothing: use --inconclusive"
        " retry with `edgekit bench` or `edgekit compare`, or convert with more items",
        "convert": "`edgekit convert` has evaluated every item that there is: give more items, or"
        " time the file with `edgekit bench --inconclusive retry`",
    }
    raise click.BadParameter(reasons[str(context.info_name)], context, parameter)
