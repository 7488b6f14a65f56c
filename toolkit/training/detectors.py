"""A detector that is trained by its task's loss: recognised, checked and joined to one output.

Runs in the worker, for models of either Keras generation.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from edgekit.data import LABELS
from edgekit.evaluation import boxes
from edgekit.evaluation.boxes import BoxSpec
from edgekit.project.train import TrainTable
from edgekit.training.defaults import no_loss
from edgekit.training.distribution.scope import predictions
from edgekit.training.feed import Feed
from edgekit.training.heads import are_meant_as_boxes, check_labels, head_of

TASK = "detection"


def detector(model: Any, feed: Feed, settings: TrainTable) -> tuple[Any, Feed]:
    """Return the model to train, and its feed with the head, where the task is detection.

    A model with boxes and scores in two outputs gives both in one meanwhile, of the same layers.
    Where the model or the settings have a loss or a step of their own, both are given back. Raises
    :class:`ProjectError`, EK-TRAIN-002, for outputs that cannot be trained, and
    :class:`DataError`, EK-DATA-065, for labels that are not boxes of this head.
    """
    own = getattr(model, "optimizer", None) is not None
    if own or settings.loss is not None or settings.loop is not None:
        return model, feed
    return joined(model, feed, settings.strategy)


def joined(model: Any, feed: Feed, strategy: str = "default") -> tuple[Any, Feed]:
    """Do what :func:`detector` does, whatever the model's own loss is."""
    column = feed.columns.targets.get(LABELS)
    if column is None or feed.task not in (None, TASK):
        return model, feed
    labels = column.some(feed.few())
    if not boxes.are_labels(labels) and feed.task is None:
        sizes = tuple(tuple(one.shape[1:]) for one in getattr(model, "outputs", None) or ())
        if are_meant_as_boxes(labels, sizes):
            boxes.refuse_others(labels)
        return model, feed
    boxes.refuse_others(labels)
    if strategy == "parameter_server":
        why = "boxes are matched in Python, and strategy = 'parameter_server' runs none of it"
        raise no_loss("with boxes", why, "take strategy = 'mirrored' or 'multi_worker'")
    x, _ = feed.rows(feed.few())
    head = head_of(model, x, predictions(model, x), feed.boxes or BoxSpec())
    trained = head.joined(model)
    first = np.asarray(trained(feed.rows(feed.items[:1])[0], training=False))
    answers, width = first.shape[1:][::-1] if head.newer else first.shape[1:]
    classes = width - (5 if head.format == "yolo" and not head.newer else 4)
    check_labels(column, feed.items, head, answers, classes)
    if len(feed.held_out):
        others = feed.held_out_columns.targets[LABELS]
        check_labels(others, feed.held_out, head, answers, classes)
    return trained, replace(feed, head=head)
