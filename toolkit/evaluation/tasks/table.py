"""The table of tasks, in the order in which they are tried.

A new task is one row of ``TASKS``, and a page in ``docs/tasks/``.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from . import boxes, classes, margins, masks, numbers, texts
from .evidence import Array
from .task import Task


def as_integers(outputs: Array) -> Array:
    """Return class numbers as integers, where a model gives them as floats."""
    return outputs if outputs.dtype.kind in "iu" else np.rint(outputs).astype(np.int64)


TASKS: Mapping[str, Task] = {
    task.name: task
    for task in (
        Task(
            "detection",
            labels="boxes: class and corners",
            outputs="boxes, classes and scores; an SSD or a YOLO head",
            metric="coco_map",
            reads=("boxes",),
            worst="pictures whose boxes have the lowest F1",
            golden="equal within rounding, with the same classes, counts and order of boxes",
            margin=margins.BOXES,
            fits=boxes.detection,
        ),
        Task(
            "text",
            labels="strings, or rows of token numbers, padded",
            outputs="a score per token and step for CTC, or token numbers",
            metric="wer",
            beside=("cer",),
            reads=("words", "characters"),
            worst="utterances with the most edits for their length",
            golden="the same text: the same token at every step, for items with a clear decision",
            margin=margins.STEPS,
            fits=texts.text,
        ),
        Task(
            "class-ids",
            labels="a class number",
            outputs="a class number: the model ends in argmax, or gives integers",
            metric="accuracy",
            beside=("f1",),
            reads=("classes",),
            worst="wrong predictions, in the order of the items",
            golden="the same class numbers",
            margin=margins.WHOLE_NUMBERS,
            fits=classes.class_ids,
            answers=as_integers,
        ),
        Task(
            "segmentation",
            labels="a class number per pixel, or a one-hot row; 255 or below 0 is void",
            outputs="a score per class and pixel, one sigmoid per pixel, or a class number",
            metric="pixel_accuracy",
            beside=("mean_iou",),
            reads=("masks",),
            worst="pictures with the most wrong pixels",
            golden="no predicted class may be swapped with another",
            margin=margins.PLACES,
            fits=masks.segmentation,
        ),
        Task(
            "multi-label",
            labels="0 or 1 for each label, several at once",
            outputs="a sigmoid, or logit, per label",
            metric="label_accuracy",
            beside=("subset_accuracy", "label_f1", "label_map"),
            reads=("labels",),
            worst="items with the most wrong labels",
            golden="the same labels, for items with a clear decision",
            margin=margins.LABELS,
            fits=classes.multi_label,
        ),
        Task(
            "embeddings",
            labels="a whole number: the identity or class of the item",
            outputs="a vector of length 1; others by `--task embeddings`",
            metric="recall_at_1",
            beside=("recall_at_5",),
            reads=("vectors",),
            worst="items whose nearest neighbours have other labels, in the order of the items",
            fits=classes.embeddings,
        ),
        Task(
            "classification",
            labels="a class number, a one-hot row, or a smoothed one",
            outputs="a score per class; one sigmoid for two classes",
            metric="accuracy",
            reads=("classes",),
            worst="wrong predictions, the most confident first",
            golden="the same class, for items with a clear decision",
            margin=margins.CLASSES,
            fits=classes.classification,
        ),
        Task(
            "anomaly",
            labels="1 for an anomaly, 0 for all else",
            outputs="an input, reconstructed",
            metric="anomaly_auc",
            reads=("errors",),
            worst="items ranked on the wrong side of the most others",
            fits=numbers.anomaly,
        ),
        Task(
            "regression",
            labels="a number per output value",
            outputs="numbers",
            metric="mse",
            beside=("mae", "rmse", "r2", "relative_error"),
            reads=("numbers",),
            worst="the largest errors",
            fits=numbers.regression,
        ),
    )
}
