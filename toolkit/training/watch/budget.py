"""How much of a training's time may go into watching it."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator

# Seconds that watching may take of the shortest training.
LEAST = 0.5


class Budget:
    """Time that looks may take: together at most a share of what has passed, or ``least`` seconds.

    A look's first time, in which TensorFlow traces it, is expected to take as long as was said;
    then it is the last time that tells, but for the first.
    """

    def __init__(
        self, share: float, clock: Callable[[], float] = time.perf_counter, least: float = LEAST
    ) -> None:
        self._share, self._clock, self._least = share, clock, least
        self._costs: dict[str, float] = {}
        self._traced: set[str] = set()
        self._begin = clock()
        self.spent = 0.0

    def begin(self) -> None:
        """Count the time from now on."""
        self._begin, self.spent = self._clock(), 0.0

    @property
    def elapsed(self) -> float:
        """Seconds of training so far, looks among them."""
        return self._clock() - self._begin

    def expect(self, look: str, seconds: float) -> None:
        """Say how long the first look of a kind will take; of one that was had it is known."""
        if look not in self._traced:
            self._costs.setdefault(look, seconds)

    def forbid(self, look: str) -> None:
        """Never allow looks of a kind again."""
        self._costs[look] = math.inf

    def allows(self, look: str) -> bool:
        """Tell whether another look of a kind, as dear as expected, keeps to the share."""
        cost = self._costs.get(look, 0.0)
        if self._share >= 1:
            return cost < math.inf
        return self.spent + cost <= max(self._share * self.elapsed, self._least)

    @contextlib.contextmanager
    def look(self, name: str) -> Iterator[None]:
        """Take the time of a look."""
        begin = self._clock()
        try:
            yield
        finally:
            seconds = self._clock() - begin
            self.spent += seconds
            if self._costs.get(name) != math.inf:
                self._costs[name] = seconds if name in self._traced else 0.0
            self._traced.add(name)
