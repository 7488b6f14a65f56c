"""How much of a training's time may go into watching it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping

# Seconds that watching may take of the shortest training.
LEAST = 0.25
# By the clock, and of computing: a look may keep more cores busy than a step does, and on a machine
# that others use the clock is theirs.
CLOCKS: Mapping[str, Callable[[], float]] = {
    "clock": time.perf_counter,
    "processors": time.process_time,
}


class Budget:
    """Time that looks may take: together at most a share of what has passed, or ``least`` seconds,
    by each of the clocks.

    A look's first time, in which TensorFlow traces it, is expected to take as long as was said;
    then it is the last time that tells, but for the first.
    """

    def __init__(
        self,
        share: float,
        clocks: Mapping[str, Callable[[], float]] = CLOCKS,
        least: float = LEAST,
    ) -> None:
        self._share, self._clocks, self._least = share, clocks, least
        self._costs: dict[str, Mapping[str, float]] = {}
        self._forbidden: set[str] = set()
        self._traced: set[str] = set()
        self.begin()

    def begin(self) -> None:
        """Count the time from now on."""
        self._begin = self._now()
        self.spent = dict.fromkeys(self._clocks, 0.0)

    def _now(self) -> dict[str, float]:
        return {name: clock() for name, clock in self._clocks.items()}

    @property
    def elapsed(self) -> Mapping[str, float]:
        """Seconds of training so far, looks among them, by each clock."""
        return {name: now - self._begin[name] for name, now in self._now().items()}

    def expect(self, look: str, share: float) -> None:
        """Say what share of the time so far the first look of a kind will take; of one that was
        had it is known.
        """
        if look not in self._traced:
            expected = {name: share * seconds for name, seconds in self.elapsed.items()}
            self._costs.setdefault(look, expected)

    def forbid(self, look: str) -> None:
        """Never allow looks of a kind again."""
        self._forbidden.add(look)

    def allows(self, look: str) -> bool:
        """Tell whether another look of a kind, as dear as expected, keeps to the share."""
        if look in self._forbidden or self._share >= 1:
            return look not in self._forbidden
        costs = self._costs.get(look, {})
        return all(
            self.spent[name] + costs.get(name, 0.0) <= max(self._share * elapsed, self._least)
            for name, elapsed in self.elapsed.items()
        )

    @contextlib.contextmanager
    def look(self, name: str) -> Iterator[None]:
        """Take the time of a look."""
        begin = self._now()
        try:
            yield
        finally:
            taken = {clock: now - begin[clock] for clock, now in self._now().items()}
            self.spent = {clock: spent + taken[clock] for clock, spent in self.spent.items()}
            self._costs[name] = taken if name in self._traced else {}
            self._traced.add(name)
