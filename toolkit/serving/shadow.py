"""A version in the shadow: it answers as well, nobody is told, and what differs is counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgekit.serving.source import Arrays, Servable
from edgekit.statistics import Interval
from edgekit.statistics.sequential import proportion_sequence


@dataclass
class Shadowed:
    """How often the version in the shadow answered otherwise, by items.

    ``missed`` are requests that it did not answer: its queue was full, or it failed.
    """

    items: int = 0
    differing: int = 0
    largest: float = 0.0
    missed: int = 0

    def compare(self, model: Servable, main: Arrays, shadow: Arrays) -> None:
        """Count the items of one request."""
        off = np.concatenate([differences(model, n, main[n], shadow[n])[None] for n in main])
        self.items += off.shape[1]
        self.differing += int(off.any(axis=0).sum())
        largest = max(float(np.max(np.abs(main[n] - shadow[n]))) for n in main)
        self.largest = max(self.largest, largest)

    @property
    def share(self) -> Interval:
        """Of how many items the answer differs; the interval holds at every moment."""
        return proportion_sequence(self.differing, self.items)


def differences(model: Servable, name: str, main: Any, shadow: Any) -> Any:
    """Tell for each item whether two answers differ.

    Of scores of classes the best one counts, of anything else whether it is off by more than the
    golden tolerance.
    """
    if main.shape != shadow.shape:
        return np.ones(len(main), bool)
    rows = [value.reshape(len(value), -1) for value in (main, shadow)]
    if model.classes and name == (model.scores or name) and rows[0].shape[1] > 1:
        best: Any = rows[0].argmax(axis=1) != rows[1].argmax(axis=1)
        return best
    allowed = model.golden.tolerances.get(name, 0.0) if model.golden else 0.0
    off: Any = np.abs(rows[0] - rows[1]).max(axis=1) > allowed
    return off
