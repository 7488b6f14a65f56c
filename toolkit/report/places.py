"""Where figures are from: which targets are other machines than the one that took them."""

from __future__ import annotations

from edgekit.types import Report

# So many targets are named one by one.
NAMED = 2


def elsewhere(report: Report) -> tuple[str, ...]:
    """Return the targets that are not the host, whose figures are then no evidence for them."""
    host = "{platform}-{machine}".format(**report.environment).lower()
    return tuple(target.id for target in report.targets if target.id != host)


def of_host(report: Report) -> str:
    """Say what figures of this host are to the run's targets: ``this host, not the target``."""
    others = elsewhere(report)
    if not others:
        return "this host, which is the target" if report.targets else "this host"
    if len(others) == len(report.targets):
        return f"this host, not {'the target' if len(others) == 1 else 'a target'}"
    if len(others) <= NAMED:
        return f"this host, not {' or '.join(others)}"
    return f"this host, not {len(others)} of {len(report.targets)} targets"
