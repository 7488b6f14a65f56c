"""Metrics of a class per pixel, or per place of any grid. The unit of statistics is the picture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import DataError

from .classes import CODE, has_logits
from .metric import Array, Floats, Index, Statistic, Undefined, rows_at_once

# Pixels of this label count for nothing, as in Pascal VOC; so do negative ones.
VOID = 255


@dataclass(frozen=True)
class MaskCounts:
    """How many pixels of each picture and class are hit, labelled and answered ``[n, classes]``."""

    hits: Index
    labelled: Index
    answered: Index

    def __len__(self) -> int:
        return len(self.hits)

    def __getitem__(self, items: Index) -> MaskCounts:
        return MaskCounts(self.hits[items], self.labelled[items], self.answered[items])

    @property
    def accuracy(self) -> Floats:
        """The share of each picture's labelled pixels that are hit; 1 where none is labelled."""
        return np.asarray(self.hits.sum(axis=1) / np.maximum(self.labelled.sum(axis=1), 1))


def read(name: str, y_true: Array, outputs: tuple[Array, ...]) -> tuple[Index, list[MaskCounts]]:
    """Return the number of labelled pixels per picture ``[n]``, and every model's counts.

    Labels are ``[n, *places]`` or ``[n, *places, 1]`` of class numbers, or one-hot; outputs scores
    ``[n, *places, classes]``, one sigmoid per place, or class numbers. Raises :class:`DataError`
    where they do not fit.
    """
    truths = [_truth(name, y_true, scores) for scores in outputs]
    labels = truths[0]
    valid = (labels >= 0) & (labels != VOID)
    answers = [_answers(scores, labels.shape, _logits(outputs)) for scores in outputs]
    stated = [_classes(scores, labels.shape) for scores in outputs]
    top = int(labels[valid].max(initial=0))
    if any(count and top >= count for count in stated):
        message = f"{name}: labels are up to {top}, the model has {min(filter(None, stated))}"
        hint = f"classes count from 0; {VOID} and negative labels stand for no class"
        raise DataError(CODE, f"{message} classes per pixel", hint)
    count = max(top, *(int(scores.max(initial=0)) for scores in answers)) + 1
    count = max(count, *stated)
    counts = [_counts(labels, valid, scores, count) for scores in answers]
    return np.asarray(valid.sum(axis=1), np.int64), counts


def _logits(outputs: tuple[Array, ...]) -> bool:
    return any(scores.dtype.kind == "f" and has_logits(scores) for scores in outputs)


def _truth(name: str, y_true: Array, output: Array) -> Index:
    """Return the labels as class numbers ``[n, places]``."""
    labels, n = np.asarray(y_true), len(y_true)
    scored = output.shape[-1] if output.ndim > 2 and output.dtype.kind == "f" else 1
    places = math.prod(output.shape[1:]) // scored
    if labels.size == n * places * scored and scored > 1:
        rows = labels.reshape(n, places, scored)
        # A row without a class is void.
        return np.where(rows.any(axis=2), rows.argmax(axis=2), -1).astype(np.int64)
    if labels.size == n * places and bool((np.rint(labels) == labels).all()):
        return labels.reshape(n, places).astype(np.int64)
    message = (
        f"{name}: labels are {labels.dtype} {list(labels.shape)}, outputs {list(output.shape)}"
    )
    raise DataError(CODE, message, "labels are a class number per pixel, or one-hot per pixel")


def _classes(output: Array, shape: tuple[int, ...]) -> int:
    """Return the number of classes that an output scores; 0 where it gives class numbers."""
    if output.dtype.kind != "f":
        return 0
    return max(2, output.size // math.prod(shape)) if output.size else 2


def _answers(output: Array, shape: tuple[int, ...], logits: bool) -> Index:
    """Return the class of each place ``[n, places]``."""
    if output.dtype.kind != "f":
        return np.asarray(output).reshape(shape).astype(np.int64)
    classes = np.empty(shape, np.int64)
    rows, width = rows_at_once(output.shape[1:]), output.size // math.prod(shape)
    for at in range(0, len(output), rows):
        block = np.asarray(output[at : at + rows]).reshape(-1, shape[1], width)
        single = block[..., 0] > (0.0 if logits else 0.5)
        classes[at : at + rows] = single if width == 1 else block.argmax(axis=2)
    return classes


def _counts(labels: Index, valid: npt.NDArray[np.bool_], answers: Index, count: int) -> MaskCounts:
    n = len(labels)
    picture = np.broadcast_to(np.arange(n)[:, None], labels.shape)

    def counted(classes: Index, chosen: Any) -> Index:
        flat = np.bincount((picture * count + classes)[chosen], minlength=n * count)
        return np.asarray(flat.reshape(n, count), np.int64)

    hit = valid & (labels == answers)
    return MaskCounts(counted(labels, hit), counted(labels, valid), counted(answers, valid))


def shares(labels: Index, counts: MaskCounts) -> Floats | None:
    """Return each picture's share of correct pixels; None where pixel counts differ."""
    if not len(labels) or labels.min() != labels.max() or labels.max() == 0:
        return None
    return counts.accuracy


def pixel_accuracy(labels: Index, counts: MaskCounts) -> Statistic:
    """Return the share of all labelled pixels that are hit."""
    if not labels.any():
        raise Undefined("every pixel is labelled void")
    hits = counts.hits.sum(axis=1)

    def value(items: Index) -> float:
        total = labels[items].sum()
        return float(hits[items].sum() / total) if total else float("nan")

    return value


def mean_iou(labels: Index, counts: MaskCounts) -> Statistic:
    """Return the mean over classes of intersection / union, over the pixels of all pictures.

    Over the classes that some pixel has as label or as answer. Source: the PASCAL VOC challenge
    (Everingham et al. 2010), section 4.3.
    """
    if not labels.any():
        raise Undefined("every pixel is labelled void")

    def value(items: Index) -> float:
        found = ious(counts, items)
        return float(np.nanmean(found)) if np.isfinite(found).any() else float("nan")

    return value


def ious(counts: MaskCounts, items: Index) -> Floats:
    """Compute intersection over union of each class; NaN where there is neither."""
    weight = np.bincount(items, minlength=len(counts)).astype(np.float64)
    hits = weight @ counts.hits
    union = weight @ counts.labelled + weight @ counts.answered - hits
    return np.divide(hits, union, out=np.full(len(hits), np.nan), where=union > 0)
