"""Detect labels and outputs of numbers."""

from __future__ import annotations

import math

from .evidence import TaskEvidence, format_shape


def regression(evidence: TaskEvidence) -> str | None:
    """Return the reason where there is one target per output value."""
    if evidence.labels is None or evidence.per_item.shape[1] != evidence.width:
        return None
    kind = evidence.labels.dtype
    shape = format_shape(evidence.sizes)
    return f"labels are numbers ({kind}), one for each value of the output {shape}"


def anomaly(evidence: TaskEvidence) -> str | None:
    """Return the reason where labels are 0 or 1, and the output reconstructs an input."""
    if evidence.labels is None or not evidence.single or not evidence.binary or evidence.width <= 2:
        return None
    for spec in evidence.inputs:
        if math.prod(size or 1 for size in spec.shape[1:]) == evidence.width and not evidence.last:
            return f"labels are 0 or 1, and the output has the size of the input {spec.name!r}"
    return None
