"""``[lock]`` and ``[[waiver]]``: what may be worse than the lock, and which red is accepted."""

from __future__ import annotations

import datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from edgekit.project.table import Table
from edgekit.project.units import Drop, parse_number
from edgekit.types import Waiver


def parse_share(value: Any) -> float:
    """Return a share such as ``5%`` or ``0.05``. Raises ValueError."""
    text = value.strip() if isinstance(value, str) else value
    if isinstance(text, str) and text.endswith("%"):
        share = parse_number(text[:-1].strip()) / 100
    else:
        share = parse_number(text)
    if not 0 <= share <= 1:
        raise ValueError(f"{value!r} is not a share such as 5% or 0.05, of at most 100%")
    return share


def _day(value: Any) -> datetime.date:
    if isinstance(value, datetime.datetime) or not isinstance(value, datetime.date | str):
        raise ValueError(f"{value!r} is not a day such as 2027-01-31")
    try:
        return value if isinstance(value, datetime.date) else datetime.date.fromisoformat(value)
    except ValueError:
        raise ValueError(f"{value!r} is not a day such as 2027-01-31") from None


Percentage = Annotated[float, BeforeValidator(parse_share)]
Day = Annotated[datetime.date, BeforeValidator(_day)]
Reason = Annotated[str, Field(min_length=1, pattern=r"\S")]


class LockTable(Table):
    """How much worse than ``edgekit.lock`` a run may be; by default it may not be."""

    size_tolerance: Percentage = 0.0
    """How much larger a file may become. ``size_tolerance = "1%"``"""
    max_drop: Drop | None = None
    """How much worse a metric may become. Default: it must not be proven worse.

    ``max_drop = "0.5pt"``
    """
    max_slowdown: Percentage | None = None
    """How much slower a model may become. Default: 5 %, proven. ``max_slowdown = "10%"``"""


class WaiverTable(Table):
    """A red check that is accepted, why, and the last day of that."""

    check: str = Field(min_length=1)
    """The red check; "lock size" is of the lock alone. ``check = "size"``"""
    reason: Reason
    """Why it is accepted. ``reason = "a wider layer, shrunk in the next release"``"""
    expires: Day
    """The last day of that. ``expires = 2027-01-31``"""
    target: str = ""
    """Of which target. Default: any. ``target = "linux-x86_64"``"""
    candidate: str = ""
    """Of which candidate. Default: any. ``candidate = "int8"``"""

    @property
    def waiver(self) -> Waiver:
        return Waiver(
            self.check, self.reason.strip(), self.expires.isoformat(), self.target, self.candidate
        )
