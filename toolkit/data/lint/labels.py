"""Classes: which are missing from a subset, and whether one crowds out the others."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from edgekit.data.lint.subset import Array, Subset, listed, share
from edgekit.types import Advice

# Classes are missing by fault, not by chance, where a random draw would miss them this rarely.
CHANCE = 0.01
CROWDED = 0.5
MOST_CLASSES = 5000


def classes(labels: Array | None) -> npt.NDArray[np.int64] | None:
    """Return class numbers ``[n]`` of labels ``[n]``, ``[n, 1]`` or one-hot; nothing for other
    targets.
    """
    if labels is None:
        return None
    flat = labels.reshape(len(labels), -1)
    if flat.shape[1] == 1 and flat.dtype.kind in "iub":
        return flat[:, 0].astype(np.int64)
    one_hot = flat.shape[1] > 1 and bool(((flat == 0) | (flat == 1)).all())
    if one_hot and bool((flat.sum(axis=1) == 1).all()):
        return np.asarray(np.argmax(flat, axis=1), np.int64)
    return None


def unchecked(subset: Subset, beside: Subset) -> str:
    """Explain why classes cannot be compared; empty where they can."""
    for each in (subset, beside):
        if each.labels is None:
            return f"the {each.title} has no labels"
        numbers = classes(each.labels)
        if numbers is None or len(np.unique(numbers)) > MOST_CLASSES:
            return f"the labels of the {each.title} are not classes"
    return ""


def lint(subset: Subset, beside: Subset) -> Iterator[Advice]:
    """Find EK-LINT-020 and -021: a subset's classes against a fuller subset's."""
    ours, theirs = classes(subset.labels), classes(beside.labels)
    if ours is None or theirs is None or not len(ours) or not len(theirs):
        return
    numbers, times = np.unique(theirs, return_counts=True)
    yield from _missing(subset, beside, ours, numbers, times / len(theirs))
    yield from _crowded(subset, beside, ours, theirs)


def _missing(
    subset: Subset, beside: Subset, ours: Array, numbers: Array, shares: Array
) -> Iterator[Advice]:
    absent = ~np.isin(numbers, ours)
    if not absent.any():
        return
    # An upper bound: that none of so many classes is drawn, for any choice of as many.
    choices = math.comb(len(numbers), int(absent.sum()))
    severe = math.log(choices) + len(ours) * math.log1p(
        -min(float(shares[absent].sum()), 1 - 1e-12)
    ) < math.log(CHANCE)
    message = (
        f"{subset.title}: {int(absent.sum())} of the {len(numbers)} classes of the {beside.title}"
        f" are missing: {listed(_named(numbers[absent], beside.class_names))}"
    )
    message += "" if severe else f"; so few items ({len(ours):,}) may miss them by chance"
    loss = "no figure tells how a missing class fares"
    if subset.use != "evaluation":
        loss = "calibration does not see the activations of a missing class"
    fix = f"add items of every class: {loss}"
    yield Advice("EK-LINT-020", "warning" if severe else "info", message, fix)


def _named(numbers: Array, names: tuple[str, ...]) -> list[str]:
    return [names[number] if 0 <= number < len(names) else str(number) for number in numbers]


def _crowded(subset: Subset, beside: Subset, ours: Array, theirs: Array) -> Iterator[Advice]:
    numbers, times = np.unique(ours, return_counts=True)
    top = int(np.argmax(times))
    there = float(np.mean(theirs == numbers[top]))
    here = float(times[top]) / len(ours)
    if len(ours) >= 10 and here > CROWDED and here > 2 * there:
        (name,) = _named(numbers[top : top + 1], subset.class_names)
        message = (
            f"{subset.title}: class {name} makes up {share(times[top], len(ours))} of it,"
            f" and {share(there, 1)} of the {beside.title}"
        )
        fix = "draw items of all classes: was the file sorted by class, and its head taken?"
        yield Advice("EK-LINT-021", "warning", message, fix)
