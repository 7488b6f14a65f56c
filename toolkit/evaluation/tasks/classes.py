"""Detect labels and outputs of classes."""

from __future__ import annotations

import numpy as np

from .evidence import TaskEvidence

# How far a row of float labels may be from summing to one.
SUM = 1e-3


def classification(evidence: TaskEvidence) -> str | None:
    """Return the reason where labels are classes, and outputs a score per class."""
    if (
        evidence.labels is None
        or evidence.integers
        or sum(size != 1 for size in evidence.sizes) > 1
    ):
        return None
    width = evidence.width
    if evidence.single and width == 1:
        if not evidence.binary or (evidence.last == "relu"):
            return None
        return f"labels are 0 or 1, and the model gives one value per item{evidence.ends}"
    scores = f"the model gives {width} values per item{evidence.ends}"
    if evidence.single and evidence.whole:
        low, high = int(evidence.per_item.min()), int(evidence.per_item.max())
        return f"labels are class numbers {low} to {high}, and {scores}"
    if width > 1 and evidence.per_item.shape[1] == width and (kind := _rows(evidence)):
        return f"labels are {kind} of {width}, and {scores}"
    return None


def class_ids(evidence: TaskEvidence) -> str | None:
    """Return the reason where labels and outputs are class numbers."""
    if (
        evidence.labels is None
        or not evidence.integers
        or evidence.width != 1
        or not evidence.single
    ):
        return None
    if not evidence.whole:
        return None
    how = (
        "ends in argmax"
        if evidence.last == "argmax"
        else f"gives integers ({evidence.output.dtype})"
    )
    return f"the model {how}: its outputs are the classes answered"


def multi_label(evidence: TaskEvidence) -> str | None:
    """Return the reason where labels are 0 or 1 for each of several, any number at once."""
    width = evidence.width
    if (
        evidence.labels is None
        or evidence.integers
        or width < 2
        or evidence.per_item.shape[1] != width
    ):
        return None
    if not evidence.binary or sum(size != 1 for size in evidence.sizes) > 1:
        return None
    if (evidence.per_item.sum(axis=1) == 1).all():
        return None
    return f"labels are 0 or 1 for each of {width}, any number at once{evidence.ends}"


def embeddings(evidence: TaskEvidence) -> str | None:
    """Return the reason where labels are whole numbers, and outputs vectors of length 1."""
    if (
        evidence.labels is None
        or not evidence.single
        or not evidence.whole
        or evidence.last != "unit norm"
    ):
        return None
    return f"labels are whole numbers, and the outputs {evidence.width} values of length 1"


def _rows(evidence: TaskEvidence) -> str:
    """Return the kind of label rows that name one class each; empty where they are none."""
    labels = np.asarray(evidence.per_item, np.float64)
    if labels.min() < 0 or (np.abs(labels.sum(axis=1) - 1) > SUM).any():
        return ""
    top = labels.max(axis=1, keepdims=True)
    if ((labels == top).sum(axis=1) > 1).any():
        return ""
    if evidence.binary:
        return "one-hot rows"
    # What smoothing leaves beside the largest is the same everywhere.
    rest = np.where(labels == top, np.nan, labels)
    even = np.nanmax(rest) - np.nanmin(rest) < SUM
    return "one-hot rows, smoothed," if even else ""
