"""Which task it is: as named, as the metric says, or as labels and outputs look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgekit.errors import DataError
from edgekit.evaluation.metrics import Metric

from . import boxes
from .look import Array, Look
from .table import TASKS
from .task import Task

CODE = "EK-DATA-012"


@dataclass(frozen=True)
class Detected:
    """A task, and why it is taken for it."""

    task: Task
    reason: str

    @property
    def facts(self) -> Mapping[str, str]:
        """The two, as reports carry them."""
        return {"name": self.task.name, "reason": self.reason}


def detect(look: Look) -> Detected:
    """Return the first task of the table that labels and output look like.

    Raises :class:`DataError` that says what both look like where none fits.
    """
    for task in TASKS.values():
        reason = task.fits(look)
        if reason is not None:
            return Detected(task, reason)
    if look.labels is not None and look.labels.dtype.kind == "U":
        hint = "save class numbers, or texts beside an output [N, steps, tokens]"
        message = (
            f"the labels 'y' are strings ({look.labels.dtype}), and no task takes them: {look}"
        )
        raise DataError("EK-DATA-009", message, hint)
    hint = (
        f"name the task with --task ([evaluate] task): {', '.join(TASKS)}; or write the metric you"
        " need: --metric file.py:function"
    )
    raise DataError(CODE, f"labels and output fit no task: {look}", hint)


def of_labels(labels: Array) -> Detected:
    """Return the task by the labels alone, where the output is not known before it is made."""
    if boxes.are(labels):
        return Detected(TASKS["detection"], boxes.REASON)
    if labels.dtype.kind == "U":
        return Detected(TASKS["text"], "labels are texts")
    if labels.dtype.kind in "iub":
        return Detected(TASKS["classification"], "labels are whole numbers")
    return Detected(TASKS["regression"], f"labels are of dtype {labels.dtype}")


def of_metric(metric: Metric, look: Look | None) -> Detected | None:
    """Return the task that a named metric belongs to: the one that it looks like, where that has
    it.

    Nothing for a function of the user's.
    """
    if metric.reads == "anything":
        return None
    having = [task for task in TASKS.values() if metric.reads in task.reads]
    for task in having:
        if look is not None and look.labels is not None and (reason := task.fits(look)):
            return Detected(task, reason)
    return Detected(having[0], f"the metric is {metric.name}") if having else None
