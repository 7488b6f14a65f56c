"""Decision margins: how clearly golden outputs give a task's answers, which no tolerance may blur.

An answer has a margin: the best class is that far above the next, a label that far from the
threshold, whole numbers that far from each other. A tolerance below half of it lets no other answer
pass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.evaluation.metrics.classes import has_logits

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Groups = list[list[int]]
# Whole numbers lie this far apart.
WHOLE = 1.0


@dataclass(frozen=True)
class DecisionMargin:
    """How the answers in outputs ``[n, ...]`` are separated.

    ``margins`` says of each item how far its answer is from the next, ``groups`` which items give
    each answer, the clearest first, so that every answer is among those that are kept. ``whole``
    says that an answer shows in some of the kept items, not in each: what counts is the clearest
    of each group.
    """

    margins: Callable[[Array], Floats]
    groups: Callable[[Array, Floats], Groups]
    whole: bool = False


def of_classes(values: Array) -> Floats:
    """Return the best score less the second best; of one score, its distance from the threshold."""
    rows = values.reshape(len(values), -1)
    if rows.shape[1] == 1:
        return of_labels(values)
    top = np.partition(rows, -2, axis=1)[:, -2:]
    return np.asarray(top[:, 1] - top[:, 0], np.float64)


def of_labels(values: Array) -> Floats:
    """Return the smallest distance of several labels' scores from the threshold."""
    threshold = 0.0 if has_logits(values) else 0.5
    return np.asarray(np.abs(values.reshape(len(values), -1) - threshold).min(axis=1), np.float64)


def of_steps(values: Array) -> Floats:
    """Return the best token's score less the second best, at the least clear step."""
    if values.ndim < 3 or values.dtype.kind != "f":
        return of_numbers(values)
    return np.asarray(_places(values).reshape(len(values), -1).min(axis=1), np.float64)


def of_places(values: Array) -> Floats:
    """Return the best class's score less the second best, at the clearest place."""
    if values.dtype.kind != "f":
        return of_numbers(values)
    return np.asarray(_places(values).reshape(len(values), -1).max(axis=1), np.float64)


def of_numbers(values: Array) -> Floats:
    """Return the distance of whole numbers; infinite for other numbers, which have no margin."""
    distance = WHOLE if values.size and bool((np.rint(values) == values).all()) else np.inf
    return np.full(len(values), distance)


def of_boxes(values: Array) -> Floats:
    """Return the distance of the first two boxes or scores of a picture, where there are more."""
    if bool((np.rint(values) == values).all()):
        return of_numbers(values)
    if values.ndim < 3 or values.shape[1] < 2:
        return np.full(len(values), np.inf)
    return np.asarray(np.abs(values[:, 0] - values[:, 1]).max(axis=-1), np.float64)


def by_class(values: Array, margins: Floats) -> Groups:
    """Return the items that answer each class."""
    rows = values.reshape(len(values), -1)
    single = rows[:, 0] > (0.0 if has_logits(values) else 0.5)
    return _grouped(single if rows.shape[1] == 1 else rows.argmax(axis=1), margins)


def by_label(values: Array, margins: Floats) -> Groups:
    """Return the items that answer each label, and those that do not."""
    answered = values.reshape(len(values), -1) > (0.0 if has_logits(values) else 0.5)
    return [group for column in answered.T for group in _grouped(column, margins)]


def by_number(values: Array, margins: Floats) -> Groups:
    """Return the items that give each whole number; of other numbers none."""
    rows = values.reshape(len(values), -1)
    if not bool((np.rint(rows) == rows).all()):
        return []
    order = np.argsort(-margins, kind="stable")
    return [[int(i) for i in order if (rows[i] == number).any()] for number in np.unique(rows)]


def by_place(values: Array, margins: Floats) -> Groups:
    """Return the items that answer each class at some place, the clearest first."""
    if values.dtype.kind != "f":
        return by_number(values, margins)
    clear, answers = clearest(values)
    return [
        [int(i) for i in np.argsort(-clear[:, k], kind="stable") if clear[i, k] >= 0]
        for k in answers
    ]


def by_step(values: Array, margins: Floats) -> Groups:
    """Return the items that answer each token at some step, by their least clear step."""
    if values.ndim < 3 or values.dtype.kind != "f":
        return by_number(values, margins)
    clear, answers = clearest(values)
    order = np.argsort(-margins, kind="stable")
    return [[int(i) for i in order if clear[i, k] >= 0] for k in answers]


def by_nothing(values: Array, margins: Floats) -> Groups:
    """Return no groups: items are spread over the outputs' range."""
    del values, margins
    return []


def clearest(values: Array) -> tuple[Floats, list[int]]:
    """Return the largest margin ``[items, classes]`` at a place with that answer, -1 for none.

    And the classes that any item answers.
    """
    margins = _places(values).reshape(len(values), -1)
    single = values.shape[-1] == 1
    flat = values.reshape(len(values), margins.shape[1], -1)
    threshold = 0.0 if has_logits(values) else 0.5
    answers = (flat[..., 0] > threshold).astype(np.int64) if single else flat.argmax(axis=-1)
    largest = np.full((len(values), 2 if single else values.shape[-1]), -1.0)
    for k in np.unique(answers):
        largest[:, k] = np.where(answers == k, margins, -1.0).max(axis=1)
    return largest, [int(k) for k in np.unique(answers)]


def _places(values: Array) -> Array:
    """Return the margin at each place: of the best score, or of one score from the threshold."""
    if values.shape[-1] == 1:
        return np.asarray(np.abs(values[..., 0] - (0.0 if has_logits(values) else 0.5)))
    top = np.partition(values, -2, axis=-1)[..., -2:]
    return np.asarray(top[..., 1] - top[..., 0])


def _grouped(answers: Array, margins: Floats) -> Groups:
    order = np.argsort(-margins, kind="stable")
    return [[int(i) for i in order if answers[i] == answer] for answer in np.unique(answers)]


CLASSES = DecisionMargin(of_classes, by_class)
LABELS = DecisionMargin(of_labels, by_label)
STEPS = DecisionMargin(of_steps, by_step)
PLACES = DecisionMargin(of_places, by_place, whole=True)
WHOLE_NUMBERS = DecisionMargin(of_numbers, by_number)
BOXES = DecisionMargin(of_boxes, by_nothing, whole=True)
NUMBERS = DecisionMargin(of_numbers, by_nothing)
