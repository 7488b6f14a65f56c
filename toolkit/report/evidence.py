"""What a verdict rests on, in words: above all that nothing was judged."""

from __future__ import annotations

from edgekit.types import CheckResult, Status, Verdict

NOT_JUDGED = "nothing was judged: this run has no check"
NO_METRIC = "no metric was taken, so nothing tells how well the model answers"


def counts(check: CheckResult) -> bool:
    """Tell whether a check bears on the verdict: what was not stated and not measured does not."""
    return check.stated or check.status not in (Status.UNAVAILABLE, Status.NOT_EVALUATED)


def lacking(verdict: Verdict) -> str:
    """Say what a verdict lacks that is "not evaluated"; empty for any other."""
    if verdict.status is not Status.NOT_EVALUATED:
        return ""
    return NO_METRIC if any(map(counts, verdict.checks)) else NOT_JUDGED
