"""Areas under curves of ranked items: ROC, and precision over recall."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from .classes import ClassScores
from .metric import Array, Floats, Index, Statistic, Undefined

Areas = Callable[["Ranking", Index], Floats]


def roc_auc(labels: Index, scores: ClassScores) -> Statistic:
    """Return the area under the ROC curve; for more than two classes the mean of one against the
    rest.
    """
    return _mean_area(labels, scores, roc_areas, "roc_auc")


def pr_auc(labels: Index, scores: ClassScores) -> Statistic:
    """Return the average precision; for more than two classes the mean of one against the rest."""
    return _mean_area(labels, scores, average_precisions, "pr_auc")


def error_auc(labels: Index, errors: Floats) -> Statistic:
    """Return the area under the ROC curve of one error per item, larger where the label is 1."""
    missing = [kind for kind in (0, 1) if not (labels == kind).any()]
    if missing:
        word = "normal (0)" if missing[0] == 0 else "anomalous (1)"
        raise Undefined(f"no item is labelled {word}, and the area needs both")
    ranking = Ranking(errors[:, None], (labels == 1)[:, None])
    return lambda items: float(roc_areas(ranking, items)[0])


def _mean_area(labels: Index, scores: ClassScores, areas: Areas, name: str) -> Statistic:
    missing = np.setdiff1d(np.arange(scores.count), labels)
    if len(missing):
        first = ", ".join(map(str, missing[:10])) + (", …" if len(missing) > 10 else "")
        word = "classes" if len(missing) > 1 else "class"
        raise Undefined(f"the labels hold no item of {word} {first}, and {name} needs every class")
    ranked_by = scores.ranked_by()
    classes = np.arange(scores.count) if ranked_by.shape[1] > 1 else np.array([1])
    ranking = Ranking(ranked_by, labels[:, None] == classes)
    return lambda items: float(np.mean(areas(ranking, items)))


class Ranking:
    """Items in the order of each class's score, sorted once for every resample of them.

    ``scores`` and ``positive`` are ``[n, classes]``; every class has a positive. A resample is a
    weight per item: how often it was drawn. Sorting again for each of a thousand takes minutes.
    """

    def __init__(self, scores: Floats, positive: npt.NDArray[np.bool_]) -> None:
        self.n, classes = scores.shape
        order = np.argsort(scores, axis=0, kind="stable").T
        first, last = _ties(np.take_along_axis(scores.T, order, axis=1))
        at = np.nonzero(np.take_along_axis(positive.T, order, axis=1))
        # Positives, class by class, and the places of their ties in all classes' orders on end.
        self.column, self.items = at[0], order[at]
        self.below = self.column * self.n + first[at]
        self.through = self.column * self.n + last[at] + 1
        own = self.column * self.n + at[1]
        self.first_of_class = np.searchsorted(self.column, np.arange(classes))
        self.positives_below = np.searchsorted(own, self.below)
        self.positives = np.append(self.first_of_class[1:], len(own))[self.column]
        self._order = np.ascontiguousarray(order).reshape(-1)
        self._dtype = np.int32 if order.size < 2**30 else np.int64
        self._running = np.zeros(order.size + 1, self._dtype)

    def drawn(self, items: Index) -> tuple[Floats, Array]:
        """Return the weight of every positive, and the running total of all items' in order."""
        weight = np.bincount(items, minlength=self.n).astype(self._dtype)
        drawn = np.take(weight, self._order, mode="clip")
        np.cumsum(drawn, out=self._running[1:], dtype=self._dtype)
        return weight[self.items].astype(np.float64), self._running

    def sums(self, values: Floats) -> Floats:
        """Sum one value per positive, by class."""
        return np.asarray(np.add.reduceat(values, self.first_of_class))


def _ties(ranked: Floats) -> tuple[Index, Index]:
    """Return the first and the last place with the same score, for every place; ``[classes,
    n]``.
    """
    classes, n = ranked.shape
    places = np.broadcast_to(np.arange(n), (classes, n))
    changes = ranked[:, 1:] != ranked[:, :-1]
    edge = np.ones((classes, 1), bool)
    first = np.maximum.accumulate(np.where(np.hstack([edge, changes]), places, 0), axis=1)
    ends = np.where(np.hstack([changes, edge]), places, n)
    last = np.minimum.accumulate(ends[:, ::-1], axis=1)[:, ::-1]
    return first, last


def roc_areas(ranking: Ranking, items: Index) -> Floats:
    """Return the area under the ROC curve of each class, from its ranks; ties count half.

    NaN where the items lack a class, or hold nothing else. Source: Mann & Whitney (1947); it equals
    scikit-learn's roc_auc_score, many times faster.
    """
    own, running = ranking.drawn(items)
    # Each class before this one has put all items into the running total.
    before = ranking.column * float(len(items))
    middle = (running[ranking.below] + running[ranking.through]) / 2.0 - before
    positive = ranking.sums(own)
    # Of the items below a positive, ties half, the positives are over all half their square.
    pairs = ranking.sums(own * middle) - positive**2 / 2
    possible = positive * (len(items) - positive)
    return np.divide(pairs, possible, out=np.full(len(positive), np.nan), where=possible > 0)


def average_precisions(ranking: Ranking, items: Index) -> Floats:
    """Return the average precision of each class: the precision at each positive's score, its mean.

    NaN where the items lack a class. It equals scikit-learn's average_precision_score.
    """
    own, running = ranking.drawn(items)
    hits = np.concatenate([[0.0], np.cumsum(own)])
    above = (ranking.column + 1.0) * len(items) - running[ranking.below]
    found = hits[ranking.positives] - hits[ranking.positives_below]
    precision = np.divide(found, above, out=np.zeros(len(own)), where=above > 0)
    ones = ranking.sums(own)
    total = ranking.sums(own * precision)
    return np.divide(total, ones, out=np.full(len(ones), np.nan), where=ones > 0)


def misplaced(labels: Index, errors: Floats) -> Floats | None:
    """Return the share of the items of the other label that are on the wrong side, ties half."""
    normal, anomalous = np.sort(errors[labels == 0]), np.sort(errors[labels == 1])
    if not len(normal) or not len(anomalous):
        return None
    missed = 1 - _share_below(normal, errors)
    share = np.where(labels == 1, missed, _share_below(anomalous, errors))
    return np.where(share > 0, share, -np.inf)


def _share_below(others: Floats, errors: Floats) -> Floats:
    below = np.searchsorted(others, errors, "left") + np.searchsorted(others, errors, "right")
    return np.asarray(below / (2 * len(others)))
