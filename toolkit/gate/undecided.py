"""What an inconclusive check counts as, where a job knows only green and red."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from edgekit.errors import ExitCode
from edgekit.gate.statuses import counts
from edgekit.types import Status, Verdict


def count_inconclusive(verdict: Verdict, as_what: Literal["fail", "pass"]) -> Verdict:
    """Return the verdict with the exit code that it has where the inconclusive fail, or pass.

    Its status stays: what was not proven is not.
    """
    undecided = any(
        check.status is Status.INCONCLUSIVE and counts(check) for check in verdict.checks
    )
    if as_what == "fail" and undecided:
        return replace(verdict, exit_code=int(ExitCode.FAILED))
    if as_what == "pass" and verdict.exit_code == ExitCode.INCONCLUSIVE:
        return replace(verdict, exit_code=int(ExitCode.PASSED))
    return verdict
