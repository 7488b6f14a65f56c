"""Detect the task from its name, its metric, or the labels and outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgekit.errors import DataError
from edgekit.evaluation.boxes import are_labels
from edgekit.evaluation.metrics import Metric

from . import boxes
from .evidence import Array, TaskEvidence
from .table import TASKS
from .task import Task

CODE = "EK-DATA-012"


@dataclass(frozen=True)
class Detected:
    """A task, and the reason that it was detected by."""

    task: Task
    reason: str

    @property
    def facts(self) -> Mapping[str, str]:
        """Name and reason, as reports carry them."""
        return {"name": self.task.name, "reason": self.reason}


def detect(evidence: TaskEvidence) -> Detected:
    """Return the first task of the table that labels and output look like.

    Raises :class:`DataError` that says what both look like where none fits.
    """
    for task in TASKS.values():
        reason = task.fits(evidence)
        if reason is not None:
            return Detected(task, reason)
    if evidence.labels is not None and evidence.labels.dtype.kind == "U":
        hint = "save class numbers, or texts beside an output [N, steps, tokens]"
        kind = evidence.labels.dtype
        message = f"the labels 'y' are strings ({kind}), and no task takes them: {evidence}"
        raise DataError("EK-DATA-009", message, hint)
    hint = (
        f"name the task with --task ([evaluate] task): {', '.join(TASKS)}; or write the metric you"
        " need: --metric file.py:function"
    )
    raise DataError(CODE, f"labels and output fit no task: {evidence}", hint)


def of_labels(labels: Array) -> Detected:
    """Detect the task from labels alone, where the output is not known yet."""
    if are_labels(labels):
        return Detected(TASKS["detection"], boxes.REASON)
    if labels.dtype.kind == "U":
        return Detected(TASKS["text"], "labels are texts")
    if labels.dtype.kind in "iub":
        return Detected(TASKS["classification"], "labels are whole numbers")
    return Detected(TASKS["regression"], f"labels are of dtype {labels.dtype}")


def of_metric(metric: Metric, evidence: TaskEvidence | None) -> Detected | None:
    """Return the task of a named metric: of several, the one that labels and output look like.

    None for a function of the user's.
    """
    if metric.reads == "anything":
        return None
    tasks = [task for task in TASKS.values() if metric.reads in task.reads]
    for task in tasks:
        if evidence is not None and evidence.labels is not None and (reason := task.fits(evidence)):
            return Detected(task, reason)
    return Detected(tasks[0], f"the metric is {metric.name}") if tasks else None
