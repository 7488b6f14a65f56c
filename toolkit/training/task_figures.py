"""Figures of an epoch that no batch has: the task's own metric over all validation items.

Runs in the worker, for models of either Keras generation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import DataError, ProjectError
from edgekit.evaluation.metrics import detection, vectors
from edgekit.evaluation.metrics.metric import Undefined
from edgekit.models.load import library
from edgekit.training.averages import averaged
from edgekit.training.feed import Feed
from edgekit.training.heads import Head
from edgekit.training.watch.alarms import Alarms
from edgekit.types import Advice

Array = npt.NDArray[Any]
# Each item is looked for among all others, and boxes are chosen and matched one picture at a time.
MOST_ITEMS = {"embeddings": 10_000, "detection": 500}


@dataclass(frozen=True)
class Figure:
    """A figure: its name, what is kept of a batch of answers, and its value over all items.

    ``value`` takes labels and what was kept, and raises :class:`DataError` or
    :class:`ProjectError` where it has none.
    """

    name: str
    kept: Callable[[Array], Array]
    value: Callable[[Array, Array], float]


def figure_of(task: str, head: Head | None, name: str = "") -> Figure | None:
    """Return the figure of a task whose metric is of all items at once; None for others.

    Its ``name`` is that of the metric, by default.
    """
    if task == "embeddings":
        return Figure(name or "val_recall_at_1", lambda answers: answers, _recall)
    if head is not None:
        return Figure(name or "val_coco_map", head.decoded, _precision)
    return None


def _recall(labels: Array, answers: Array) -> float:
    kinds, (rows,) = vectors.read("recall_at_1", labels, (answers,))
    return float(np.mean(vectors.RecallAt(1)(kinds, rows)))


def _precision(labels: Array, answers: Array) -> float:
    try:
        return float(detection.mean_average_precision(labels, answers)(np.arange(len(labels))))
    except Undefined as error:
        raise DataError("EK-DATA-065", str(error)) from error


def callbacks(model: Any, figure: Figure | None, feed: Feed, alarms: Alarms) -> list[Any]:
    """Build what adds a figure to every epoch, where items are held out; ``model`` is trained.

    Of more items than are affordable, as many are taken evenly. Where there is no value it is told
    once, and training goes on: without a figure of validation, and with NaN for any other.
    """
    most = MOST_ITEMS["embeddings" if feed.head is None else "detection"]
    held = feed.validated_on(most).validation() if figure is not None else None
    if figure is None or held is None:
        return []
    import tensorflow as tf

    answer = tf.function(lambda x: model(x, training=False), reduce_retracing=True)

    def value() -> float:
        labels, kept = [], []
        with averaged(model):
            for x, y, *_ in held:
                labels.append(np.asarray(y))
                kept.append(figure.kept(np.asarray(answer(x), np.float32)))
        return figure.value(np.concatenate(labels), np.concatenate(kept))

    return [_callback(model, figure, value, alarms)]


def tell_absent(alarms: Alarms, name: str, error: DataError | ProjectError) -> None:
    """Say that a figure has no value, and why."""
    message = f"{name} cannot be computed in this training: {error.message}"
    alarms.add(name, Advice("EK-NOTE-211", "info", message, error.hint))


def _callback(model: Any, figure: Figure, value: Callable[[], float], alarms: Alarms) -> Any:
    class Judged(library(model).callbacks.Callback):  # type: ignore[misc]
        """Add the figure to an epoch's, before all that reads these."""

        absent = False

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if logs is None:
                return
            try:
                if not self.absent:
                    logs[figure.name] = value()
            except (DataError, ProjectError) as error:
                self.absent = True
                tell_absent(alarms, figure.name, error)
            if self.absent and not figure.name.startswith("val_"):
                logs[figure.name] = float("nan")

    return Judged()
