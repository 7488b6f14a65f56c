"""What any command found, in the one form from which all outputs for CI are drawn."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from edgekit.report import words
from edgekit.types import Advice, CheckResult, Measurement, Status, Verdict

# What an inconclusive check counts as: nothing chosen, failed, or passed.
Undecided = Literal["", "fail", "pass"]
Outcome = Literal["red", "undecided", "unavailable", "waived", "skipped", "passed"]
RED = (Status.FAILED, Status.INCOMPATIBLE)
Cells = tuple[str, ...]
LARGEST_SHARE = 10.0
# Units of plain numbers, and of values of an output, which has no unit of its own.
PLAIN_UNITS = ("", "1", "ratio", "output")


@dataclass(frozen=True)
class Change:
    """A figure of a target's model beside the reference's: how much it moved, and its budget.

    ``check`` is the one that holds it against a budget, where there is one.
    """

    what: str
    before: str
    now: str
    change: str = ""
    interval: str = ""
    check: CheckResult | None = None


@dataclass(frozen=True)
class Group:
    """What was judged together: a target, or a model on a device; ``note`` says what it ships.

    ``run`` names the run that it is of, where several were judged.
    """

    name: str
    checks: tuple[CheckResult, ...]
    changes: tuple[Change, ...] = ()
    model: str = ""
    note: str = ""
    run: str = ""


@dataclass(frozen=True)
class Table:
    """A table of texts: its title, its headings, its rows."""

    title: str
    headings: Cells
    rows: tuple[Cells, ...]


@dataclass(frozen=True)
class Judged:
    """A run of any command: its verdict, the groups that it judged, and what else is to be said.

    ``reference`` names what the figures are set beside, empty where there is nothing. ``seconds``
    is how long the run took. ``undecided`` says what an inconclusive check counts as.
    """

    command: str
    title: str
    run: str
    verdict: Verdict
    groups: tuple[Group, ...]
    reference: str = ""
    tables: tuple[Table, ...] = ()
    lines: tuple[str, ...] = ()
    advice: tuple[Advice, ...] = ()
    seconds: float = 0.0
    undecided: Undecided = ""
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def checks(self) -> tuple[CheckResult, ...]:
        """Every check that counts, in order."""
        return tuple(check for group in self.groups for check in group.checks)

    def having(self, *outcomes: Outcome) -> list[CheckResult]:
        """Return the checks with one of these outcomes."""
        return [check for check in self.checks if outcome_of(check, self.undecided) in outcomes]


def outcome_of(check: CheckResult, undecided: Undecided = "") -> Outcome:
    """Return what a check counts as: the red fail a job, the skipped bear on nothing.

    The waived are red by their figures, and accepted for a time.
    """
    if check.status in RED or (check.status is Status.INCONCLUSIVE and undecided == "fail"):
        return "red"
    if check.status is Status.INCONCLUSIVE:
        return "skipped" if undecided == "pass" else "undecided"
    if check.status is Status.UNAVAILABLE:
        return "unavailable" if check.stated else "skipped"
    if check.status is Status.WAIVED:
        return "waived"
    return "passed" if check.status is Status.PASSED else "skipped"


def grouped(checks: Sequence[CheckResult]) -> Iterator[tuple[str, tuple[CheckResult, ...]]]:
    """Yield the checks of each target, or of each model where they are for no target."""
    groups: dict[str, list[CheckResult]] = {}
    for check in checks:
        groups.setdefault(check.target or check.candidate or "the run", []).append(check)
    for name, together in groups.items():
        yield name, tuple(together)


BETWEEN = ": "


def of_run(run: str, target: str) -> str:
    """Name a target of one run of several; without a target, the run."""
    return f"{run}{BETWEEN}{target}" if target else run


def split_run(target: str, runs: Collection[str]) -> tuple[str, str]:
    """Return the run and the target that a name of :func:`of_run` holds."""
    run, _, rest = target.partition(BETWEEN)
    return (run, rest) if run in runs else ("", target)


def place_of(check: CheckResult) -> str:
    """Name what a check judged: the target, and the candidate."""
    parts = dict.fromkeys(part for part in (check.target, check.candidate) if part)
    return " ".join(parts) or "the run"


def margin(check: CheckResult) -> str:
    """Say how far a figure is from its limit, in its unit and as a share of the limit.

    Where the check failed it is the figure itself, else the worse end of its interval, which
    decides; the figure too where one passed whose interval reaches beyond its limit. Empty where
    either is not a number.
    """
    measured, bound = check.measured, check.bound
    if measured is None or measured.value is None or bound is None:
        return ""
    worse = measured.low if bound.at_least else measured.high
    at = measured.value if worse is None or check.status in (*RED, Status.WAIVED) else worse
    beyond = bound.value - at if bound.at_least else at - bound.value
    if check.status is Status.PASSED and beyond > 0:
        at = measured.value
        beyond = bound.value - at if bound.at_least else at - bound.value
    if beyond == 0:
        return "exactly at the limit"
    sides = ("below", "above") if bound.at_least else ("over", "under")
    part = abs(beyond / bound.value) if bound.value else math.inf
    possible = "up to " if check.status is Status.INCONCLUSIVE else ""
    side = sides[beyond < 0]
    if bound.unit == "1" and bound.share == "%":
        return f"{possible}{words.in_points(abs(beyond))} {side}"
    if bound.unit == "ratio":
        return f"{possible}{100 * part:.3g} % {side}"
    # Of a limit near zero a share says nothing.
    share = f" ({100 * part:.3g} %)" if part <= LARGEST_SHARE else ""
    return f"{possible}{quantity(abs(beyond), bound.unit, bound.share)} {side}{share}"


def figure(check: CheckResult) -> str:
    """Return what was measured, in its unit; empty where the check holds no number."""
    measured = check.measured
    if measured is None or measured.value is None:
        return ""
    return quantity(measured.value, measured.unit, share_of(check))


def share_of(check: CheckResult) -> str:
    """Return how a check's figure is told where it is a share: in points, per cent, or plainly."""
    return check.bound.share if check.bound is not None else ""


def bounds(check: CheckResult) -> str:
    """Return the interval of what a check measured in its unit; empty where it has none."""
    measured, share = check.measured, share_of(check)
    if measured is None or measured.value is None or words.bounds_nothing(measured):
        return ""
    low = "-∞" if measured.low is None else quantity(measured.low, measured.unit, share)
    high = "∞" if measured.high is None else quantity(measured.high, measured.unit, share)
    return f"{low} to {high}"


def quantity(value: float, unit: str, share: str = "") -> str:
    """Write a number in its unit; one of unit 1 in points or per cent, where ``share`` says so."""
    if unit == "byte":
        return words.exact(value)
    if unit == "ns":
        return words.duration(Measurement(value, unit))
    if unit == "1" and share == "points":
        return words.in_points(value)
    if unit == "1" and share == "%":
        return f"{100 * value:.3g} %"
    shown = words.number(value, 4)
    return shown if unit in PLAIN_UNITS else f"{shown} {unit}"


def seconds_in_words(seconds: float) -> str:
    """Write how long a run took."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"
