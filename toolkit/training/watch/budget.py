"""How much of a training's time may go into watching it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator


class Budget:
    """Time that looks may take: together at most a share of what has passed.

    A look's first time, in which TensorFlow traces it, is not counted: it comes once a training.
    """

    def __init__(self, share: float, clock: Callable[[], float] = time.perf_counter) -> None:
        self._share, self._clock = share, clock
        self._costs: dict[str, float] = {}
        self._begin = clock()
        self._traced = self.spent = 0.0

    @property
    def elapsed(self) -> float:
        """Seconds of training so far, tracing not among them."""
        return self._clock() - self._begin - self._traced

    def allows(self, look: str) -> bool:
        """Tell whether another look, as dear as the last of its kind, keeps to the share."""
        return self.spent + self._costs.get(look, 0.0) <= self._share * self.elapsed

    @contextlib.contextmanager
    def look(self, name: str) -> Iterator[None]:
        """Take the time of a look."""
        begin = self._clock()
        try:
            yield
        finally:
            seconds = self._clock() - begin
            if name in self._costs:
                self.spent += seconds
                self._costs[name] = seconds
            else:
                self._traced += seconds
                self._costs[name] = 0.0
