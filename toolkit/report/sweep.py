"""The trials of a sweep as a table, and the best one's settings."""

from __future__ import annotations

from collections.abc import Iterator

from edgekit.report.grid import Grid, Row, grid, single_lines
from edgekit.types import Sweep, Trial

Line = tuple[str, str | None]
DROP = ("epochs", "seconds")
# A table longer than this has its best and its last rows.
LONGEST = 40


def table(done: Sweep) -> Grid:
    """Build the table of trials, the best first; those that failed come last."""
    sign = -1 if done.highest else 1
    names = list(dict.fromkeys(name for trial in done.trials for name in trial.parameters))
    order = sorted(
        done.trials, key=lambda one: (one.value is None, sign * (one.value or 0.0), one.number)
    )
    titles = ["trial", *names, "epochs", "seconds", done.figure]
    rows = (_row(trial, names, done.best) for trial in order[:LONGEST])
    return grid([(title, "") for title in titles], rows, DROP)


def _row(trial: Trial, names: list[str], best: int | None) -> Row:
    values = [_shown(trial.parameters.get(name, "")) for name in names]
    value = "failed" if trial.value is None else f"{trial.value:.5g}"
    line = single_lines(
        str(trial.number), *values, str(trial.epochs), f"{trial.seconds:.1f}", value
    )
    styles = {True: "green", False: "red" if trial.value is None else ""}
    return Row(line.cells, styles[trial.number == best], whole=True)


def _shown(value: bool | int | float | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def lines(done: Sweep) -> Iterator[Line]:
    """Yield what went wrong in trials, and the best one's settings as TOML."""
    if len(done.trials) > LONGEST:
        yield f"{len(done.trials) - LONGEST} more trials: --json has them all", "dim"
    for trial in done.trials:
        if trial.problem:
            yield f"trial {trial.number} failed: {trial.problem}", "red"
    if done.best is None:
        return
    yield f"the best is trial {done.best}; in edgekit.toml:", None
    yield "", None
    for line in done.toml.splitlines():
        yield line, "bold"
    yield "", None
    yield "or train with it as it is: edgekit train --from-sweep", "dim"
