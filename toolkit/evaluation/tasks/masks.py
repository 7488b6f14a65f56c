"""Detect a class per pixel."""

from __future__ import annotations

import numpy as np

from .evidence import TaskEvidence, format_shape


def segmentation(evidence: TaskEvidence) -> str | None:
    """Return the reason where labels are a class for each place of the output's grid."""
    if evidence.labels is None or len(evidence.sizes) < 2 or evidence.single:
        return None
    shape, sizes = evidence.labels.shape[1:], evidence.sizes
    if evidence.integers:
        if evidence.whole and _fits(sizes, shape):
            kind = evidence.labels.dtype
            return f"labels and outputs are a class per place: {format_shape(shape)} of {kind}"
        return None
    grid, scores = sizes[:-1], sizes[-1] or 1
    scored = f"the output gives {scores} values for each of these places{evidence.ends}"
    if evidence.whole and scores > 1 and _fits(grid, shape):
        return f"labels are a class per place {format_shape(shape)}, and {scored}"
    if scores > 1 and _fits(sizes, shape) and evidence.binary and len(grid) > 1:
        rows = np.asarray(evidence.labels).reshape(-1, scores)
        if (rows.sum(axis=1) <= 1).all():
            return f"labels are a one-hot row per place {format_shape(shape)}, and {scored}"
    single = scores == 1 and (_fits(grid, shape) or _fits(sizes, shape))
    if single and evidence.binary:
        return f"labels are 0 or 1 per place {format_shape(shape)}, and {scored}"
    return None


def _fits(sizes: tuple[int | None, ...], shape: tuple[int, ...]) -> bool:
    """Tell whether labels have the output's grid, with or without a last dimension of 1."""
    return any(
        len(sizes) == len(grid)
        and all(size in (None, own) for size, own in zip(sizes, grid, strict=True))
        for grid in (shape, shape[:-1] if shape[-1:] == (1,) else (), (*shape, 1))
    )
