"""Detect labels of boxes."""

from __future__ import annotations

from edgekit.evaluation.boxes import are_labels

from .evidence import TaskEvidence

REASON = "labels are boxes: a class and four corners each"


def detection(evidence: TaskEvidence) -> str | None:
    """Return the reason where labels are boxes; shapes or the project say how outputs are read."""
    return REASON if evidence.labels is not None and are_labels(evidence.labels) else None
