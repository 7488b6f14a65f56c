"""What a task is: how it is detected, its metric, and what follows from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgekit.evaluation.metrics import METRICS
from edgekit.evaluation.metrics.metric import Reads

from .evidence import Array, TaskEvidence
from .margins import NUMBERS, DecisionMargin


@dataclass(frozen=True)
class Task:
    """One row of the table.

    ``fits`` gives the reason in words where labels and an output look like the task, else nothing.
    ``metric`` is the one that is judged by where none is named, ``beside`` others that say more of
    it, ``reads`` the kinds of metrics that the task has. ``labels``, ``outputs``, ``worst`` and
    ``golden`` say in words what the labels and outputs look like, which items count as the worst,
    and what no golden output may differ by: they are the documentation's. ``margin`` is the latter
    as code. ``answers`` makes of outputs what the task's metrics take.
    """

    name: str
    labels: str
    outputs: str
    metric: str
    reads: tuple[Reads, ...]
    worst: str
    fits: Callable[[TaskEvidence], str | None]
    golden: str = "outputs within rounding"
    beside: tuple[str, ...] = ()
    answers: Callable[[Array], Array] | None = None
    margin: DecisionMargin = NUMBERS

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of the metrics that the task has."""
        return tuple(
            name for name, metric in METRICS.working().items() if metric.reads in self.reads
        )
