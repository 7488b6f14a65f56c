"""How long a stage still takes, by the rate at which it has gone so far."""

from __future__ import annotations

import time
from collections.abc import Callable

# What must have been seen before anything is said: a stage is slower to start than to go on.
SECONDS = 3.0
SHARE = 0.05
STEPS = 2


class Pace:
    """Estimates the time left of one stage; nothing until enough of it was seen.

    The rate is that since the first step was done, and is taken anew where ``done`` goes back or
    the total changes: then another part has begun. A step that takes longer than those before
    slows the rate down, so that the estimate grows rather than go below the truth.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._total = 0.0
        self._first: tuple[float, float] | None = None
        self._last: tuple[float, float] | None = None
        self._steps = 0

    def advance(self, done: float, total: float) -> None:
        """Note that the stage has come to ``done`` of ``total``."""
        now = self._clock()
        if self._last is None or total != self._total or done < self._last[1]:
            self._first = self._last = (now, done)
            self._total, self._steps = total, 0
        elif done > self._last[1]:
            self._last = (now, done)
            self._steps += 1

    def left(self) -> float | None:
        """Return the seconds that are left; None where that is not known."""
        if self._first is None or self._last is None:
            return None
        (begun, start), (seen, done) = self._first, self._last
        gone, spent = done - start, seen - begun
        if self._steps < STEPS or spent < SECONDS or gone < SHARE * self._total:
            return None
        if done >= self._total:
            return None
        waited = self._clock() - seen
        each = spent / self._steps
        # As fast as so far, the next step would be done by now: it is slower than that.
        if waited > each:
            return (self._total - done) * (spent + waited) / gone
        return (self._total - done) * spent / gone - waited


def in_words(seconds: float) -> str:
    """Say a time as coarsely as it is known: ``12 s``, ``3 min``, ``2.5 h``."""
    if seconds < 20:
        return f"{max(1, round(seconds))} s"
    if seconds < 90:
        return f"{5 * round(seconds / 5)} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
