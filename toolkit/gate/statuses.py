"""Which status decides among several, and the exit code of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from edgekit.errors import ExitCode
from edgekit.types import CheckResult, Status

EXIT_CODES: Mapping[Status, ExitCode] = {
    Status.FAILED: ExitCode.FAILED,
    Status.INCOMPATIBLE: ExitCode.INCOMPATIBLE,
    Status.UNAVAILABLE: ExitCode.UNAVAILABLE,
    Status.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
    Status.NOT_EVALUATED: ExitCode.PASSED,
    Status.PASSED: ExitCode.PASSED,
    Status.WAIVED: ExitCode.PASSED,
}
RED = (Status.FAILED, Status.INCOMPATIBLE)
# When several apply, the first of these is the outcome.
PRECEDENCE = tuple(EXIT_CODES)


def worst(statuses: Iterable[Status]) -> Status:
    """Return the status that decides among several; what is waived counts as passed.

    Of none it is "not evaluated": nothing was found wrong, because nothing was looked at.
    """
    found = {Status.PASSED if one is Status.WAIVED else one for one in statuses}
    return next((s for s in PRECEDENCE if s in found), Status.NOT_EVALUATED)


def counts(check: CheckResult) -> bool:
    """Tell whether a check bears on the outcome: one nobody stated does not where it is
    unavailable.
    """
    return check.stated or check.status is not Status.UNAVAILABLE
