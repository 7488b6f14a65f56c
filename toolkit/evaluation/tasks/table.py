"""The table of tasks, in the order in which they are tried.

A new task is one row of ``TASKS``, and a page in ``docs/tasks/``.
"""

from __future__ import annotations

from collections.abc import Mapping

from . import classes, numbers
from .task import Task

TASKS: Mapping[str, Task] = {
    task.name: task
    for task in (
        Task(
            "classification",
            labels="a class number, a one-hot row, or a smoothed one",
            outputs="a score per class; one sigmoid for two classes",
            metric="accuracy", reads=("classes",),
            worst="wrong answers, the most confident first",
            golden="outputs within rounding",
            fits=classes.one_of_several,
        ),
        Task(
            "anomaly",
            labels="1 for an anomaly, 0 for all else",
            outputs="an input given back",
            metric="anomaly_auc", reads=("errors",),
            worst="items on the wrong side of the most others",
            golden="outputs within rounding",
            fits=numbers.gives_back,
        ),
        Task(
            "regression",
            labels="a number per output value",
            outputs="numbers",
            metric="mse", reads=("numbers",),
            worst="the largest errors",
            golden="outputs within rounding",
            fits=numbers.one_each,
        ),
    )
}  # fmt: skip
