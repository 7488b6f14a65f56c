"""How much worse than a lock a figure may be, where a project says so."""

from __future__ import annotations

from dataclasses import dataclass

# Slower by less than this is no reason to stop a change, however surely it is measured.
DEFAULT_SLOWDOWN = 0.05


@dataclass(frozen=True)
class Tolerances:
    """Shares of the size and the latency, and a drop of the metric in its unit.

    Without a stated ``drop`` or ``slowdown`` a metric or a latency may not be proven worse.
    """

    size: float = 0.0
    drop: float | None = None
    slowdown: float | None = None
