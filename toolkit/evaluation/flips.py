"""How many items a model puts into another class than the reference does."""

from __future__ import annotations

import numpy as np

from edgekit import statistics
from edgekit.evaluation import metrics
from edgekit.evaluation.metrics.metric import Array
from edgekit.types import Measurement


def flips(mine: Array, theirs: Array, metric: metrics.Metric) -> Measurement:
    """Return the share of items that the two put into different classes, with Wilson's interval."""
    if mine.shape != theirs.shape or mine.ndim != 2 or mine.shape[1] < 2:
        return Measurement.unavailable("1", "the outputs are not class scores")
    if metric.reads != "classes":
        return Measurement.unavailable("1", f"{metric.name} does not put items into classes")
    differ = metrics.predicted_class(mine) != metrics.predicted_class(theirs)
    return statistics.wilson(int(np.sum(differ)), len(differ)).measurement("1", "Wilson")
