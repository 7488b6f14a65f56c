"""How labels and outputs of classes look."""

from __future__ import annotations

import numpy as np

from .look import Look

# How far a row of float labels may be from summing to one.
SUM = 1e-3


def one_of_several(look: Look) -> str | None:
    """Class numbers or one-hot rows, and a score per class."""
    if look.labels is None or look.integers or sum(size != 1 for size in look.sizes) > 1:
        return None
    width = look.width
    if look.single and width == 1:
        if not look.binary or (look.last == "relu"):
            return None
        return f"labels are 0 or 1, and the model gives one value per item{look.ends}"
    scores = f"the model gives {width} values per item{look.ends}"
    if look.single and look.whole:
        low, high = int(look.per_item.min()), int(look.per_item.max())
        return f"labels are class numbers {low} to {high}, and {scores}"
    if width > 1 and look.per_item.shape[1] == width and (kind := _rows(look)):
        return f"labels are {kind} of {width}, and {scores}"
    return None


def numbers_out(look: Look) -> str | None:
    """Class numbers both as labels and as outputs."""
    if look.labels is None or not look.integers or look.width != 1 or not look.single:
        return None
    if not look.whole:
        return None
    how = "ends in argmax" if look.last == "argmax" else f"gives integers ({look.output.dtype})"
    return f"the model {how}: its outputs are the classes answered"


def several_at_once(look: Look) -> str | None:
    """0 or 1 for each of several labels, any number of them at once."""
    width = look.width
    if look.labels is None or look.integers or width < 2 or look.per_item.shape[1] != width:
        return None
    if not look.binary or sum(size != 1 for size in look.sizes) > 1:
        return None
    if (look.per_item.sum(axis=1) == 1).all():
        return None
    return f"labels are 0 or 1 for each of {width}, any number at once{look.ends}"


def kinds_of_vectors(look: Look) -> str | None:
    """Class numbers, and outputs of length 1."""
    if look.labels is None or not look.single or not look.whole or look.last != "unit norm":
        return None
    return f"labels are whole numbers, and the outputs {look.width} values of length 1"


def _rows(look: Look) -> str:
    """Return what rows of labels that name one class each are called; empty where they are none."""
    labels = np.asarray(look.per_item, np.float64)
    if labels.min() < 0 or (np.abs(labels.sum(axis=1) - 1) > SUM).any():
        return ""
    top = labels.max(axis=1, keepdims=True)
    if ((labels == top).sum(axis=1) > 1).any():
        return ""
    if look.binary:
        return "one-hot rows"
    # What smoothing leaves beside the largest is the same everywhere.
    rest = np.where(labels == top, np.nan, labels)
    even = np.nanmax(rest) - np.nanmin(rest) < SUM
    return "one-hot rows, smoothed," if even else ""
