"""Detect labels and outputs of texts."""

from __future__ import annotations

from .evidence import TaskEvidence, format_shape


def text(evidence: TaskEvidence) -> str | None:
    """Return the reason where labels are strings, or rows of tokens unlike the output's steps."""
    if evidence.labels is None:
        return None
    if evidence.labels.dtype.kind == "U":
        # Strings beside one row of scores are names of classes.
        if sum(size != 1 for size in evidence.sizes) < 2 and not evidence.integers:
            return None
        return f"labels are texts, and the output is {format_shape(evidence.sizes)}{evidence.ends}"
    steps, labels = evidence.sizes[:1], evidence.labels
    scored = len(evidence.sizes) == 2 and not evidence.integers and (evidence.sizes[1] or 0) > 1
    numbered = len(evidence.sizes) == 1 and evidence.integers
    if labels.ndim != 2 or labels.shape[1] < 2 or not (scored or numbered) or None in steps:
        return None
    if labels.shape[1] == steps[0] or not evidence.whole:
        return None
    top = int(labels.max())
    if top < 1 or (scored and top >= (evidence.sizes[1] or 0)) or _one_hot(evidence):
        return None
    answers = (
        f"scores {evidence.sizes[1]} tokens at each of {steps[0]} steps"
        if scored
        else (f"gives {steps[0]} integers")
    )
    return f"labels are up to {labels.shape[1]} tokens, and the output {answers}{evidence.ends}"


def _one_hot(evidence: TaskEvidence) -> bool:
    return evidence.binary and bool((evidence.per_item.sum(axis=1) == 1).all())
