"""What a metric is: a name, a direction, and how it is computed of all items or of some."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from edgekit.types import Direction

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Statistic = Callable[[Index], float]
Reads = Literal[
    "classes",
    "labels",
    "masks",
    "vectors",
    "numbers",
    "errors",
    "boxes",
    "words",
    "characters",
    "anything",
]
TEXTS: tuple[Reads, ...] = ("words", "characters")


@dataclass(frozen=True)
class Metric:
    """A metric over labels and model outputs, both items first.

    ``reads`` says as what labels and outputs come to ``per_item`` and ``statistic``: class numbers
    and :class:`ClassScores`, several labels per item and :class:`LabelScores`, pixels per picture
    and :class:`MaskCounts`, class numbers and vectors of length 1, numbers of one shape, labels 0
    or 1 and one error per item, texts and their :class:`Edits` of words or of characters, or as
    they are. Both get all items at once, so that what holds for the whole is decided once:

    - ``per_item`` gives one score per item, whose mean is the value; nothing where it cannot tell;
    - ``statistic`` gives a function from item numbers, which may repeat, to the metric of those
      items: NaN where it is not defined on them. It raises :class:`Undefined` where it is not
      defined on all.

    A metric with scores per item needs no statistic. ``bounded`` says that the value lies in 0..1,
    or is a share that counts in points: insertions may bring an error rate beyond 1.
    ``by_chance`` is of a metric that resampling enlarges: the values it takes on such items where
    it is really 0.
    ``worst_case`` gives the share of a metric in 0..1 that is surely kept where all items
    are alike, which resamples do not tell.
    ``badness`` gives a number per item that is larger the worse it is answered, -inf where that is
    right; without one the kind of ``reads`` decides.
    ``prepare`` makes ``[n, ...]`` of a block's inputs and outputs, where the metric needs inputs;
    ``grouped`` says that the scores of a group of items may be averaged to one.
    """

    name: str
    direction: Direction
    bounded: bool = True
    unit: str = "1"
    reads: Reads = "anything"
    per_item: Callable[[Any, Any], Floats | None] | None = None
    statistic: Callable[[Any, Any], Statistic] | None = None
    prepare: Callable[[Mapping[str, Array], Array], Array] | None = None
    takes_labels: bool = True
    by_chance: Callable[[Any, Any], Floats] | None = None
    grouped: bool = False
    worst_case: Callable[[Any, Any], float] | None = None
    badness: Callable[[Any, Any], Floats | None] | None = None

    @property
    def sign(self) -> float:
        """1 where higher is better, else -1."""
        return 1.0 if self.direction == "higher" else -1.0


class Undefined(Exception):
    """A metric that these items do not define, and why."""


def rows_at_once(shape: tuple[int, ...]) -> int:
    """Return the number of items ``[...]`` of this shape that make some 16 MiB of float64."""
    return max(1, 2**21 // max(1, int(np.prod(shape))))
