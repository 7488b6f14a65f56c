"""Waivers: red checks that a project accepts until a day, with the reason."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from edgekit.gate.statuses import RED
from edgekit.types import Advice, CheckResult, Status, Waiver

# Before the name of a figure, what it was held against.
AGAINST = ("lock ", "baseline ", "champion ")


@dataclass(frozen=True)
class Waivers:
    """The waivers of a project, and the day that they are read on."""

    all: tuple[Waiver, ...] = ()
    today: datetime.date = field(default_factory=datetime.date.today)

    def apply(self, checks: Sequence[CheckResult]) -> tuple[CheckResult, ...]:
        """Return the checks, those red ones waived that a waiver in force accepts."""
        return tuple(self._applied(check) for check in checks)

    def _applied(self, check: CheckResult) -> CheckResult:
        if check.status not in RED:
            return check
        for waiver in self.all:
            if not self.has_expired(waiver) and matches(waiver, check):
                accepted = replace(waiver, accepted=check.status)
                message = f"waived until {waiver.expires}, {waiver.reason}: {check.message}"
                return replace(check, status=Status.WAIVED, message=message, waiver=accepted)
        return check

    def has_expired(self, waiver: Waiver) -> bool:
        """Tell whether the last day of a waiver is over."""
        return datetime.date.fromisoformat(waiver.expires) < self.today

    def expired(self) -> tuple[CheckResult, ...]:
        """Return a red check for each waiver whose day is over."""
        return tuple(
            CheckResult(
                f"waiver of {waiver.check}",
                waiver.candidate,
                waiver.target,
                Status.FAILED,
                f"it expired on {waiver.expires}: {waiver.reason}",
                f"until {waiver.expires}",
                fix="mend what it accepted and take the [[waiver]] out, or renew its date",
            )
            for waiver in self.all
            if self.has_expired(waiver)
        )

    def unused(self, checks: Sequence[CheckResult]) -> tuple[Advice, ...]:
        """Return a warning for each waiver in force that no check needed."""
        used = {_bare(check.waiver) for check in checks if check.waiver is not None}
        return tuple(
            Advice(
                "EK-NOTE-110",
                "warning",
                f"the waiver of {_described(waiver)} matches no red check",
                "take the [[waiver]] out, or correct its check, target or candidate",
            )
            for waiver in self.all
            if not self.has_expired(waiver) and _bare(waiver) not in used
        )


def _bare(waiver: Waiver) -> Waiver:
    return replace(waiver, accepted=Status.FAILED)


def _described(waiver: Waiver) -> str:
    place = " ".join(part for part in (waiver.target, waiver.candidate) if part)
    return f"{waiver.check} ({place})" if place else waiver.check


def matches(waiver: Waiver, check: CheckResult) -> bool:
    """Tell whether a waiver is about a check: by its name, with or without what it was held
    against, and by the target and candidate that it names.
    """
    names = {check.name, *(check.name.removeprefix(prefix) for prefix in AGAINST)}
    return (
        waiver.check in names
        and waiver.target in ("", check.target)
        and waiver.candidate in ("", check.candidate)
    )
