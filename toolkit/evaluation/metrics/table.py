"""The table of metrics, and how one is found by name.

A new metric is one row of ``_OWN``, or an entry point of another package.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgekit.errors import ProjectError
from edgekit.plugins import Table
from edgekit.types import Direction
from edgekit.usercode import is_reference

from . import (
    classification,
    detection,
    labels,
    masks,
    ranking,
    reconstruction,
    regression,
    texts,
    vectors,
    worst_case,
)
from .metric import Floats, Metric, Reads, Statistic
from .user import user_metric


def _top(k: int) -> Metric:
    hits = classification.TopK(k)
    misses = functools.partial(classification.confident_misses, hits)
    return Metric(f"top_{k}", "higher", reads="classes", per_item=hits, badness=misses)


def _recall(k: int) -> Metric:
    name = f"recall_at_{k}"
    return Metric(name, "higher", reads="vectors", per_item=vectors.RecallAt(k))


def _whole(
    name: str,
    reads: Reads,
    statistic: Callable[[Any, Any], Statistic],
    worst: Callable[[Any, Any], float],
    direction: Direction = "higher",
) -> Metric:
    """Return a metric in 0..1 that is computed on all items at once."""
    return Metric(name, direction, reads=reads, statistic=statistic, worst_case=worst)


def _boxes(name: str, statistic: Callable[[Any, Any], Statistic]) -> Metric:
    """Return an average precision of boxes."""
    return replace(
        _whole(name, "boxes", statistic, worst_case.of_boxes), badness=detection.lowest_first
    )


def _error(name: str, unit: str, per_item: Callable[[Any, Any], Floats]) -> Metric:
    """Return the mean of an error without an upper end."""
    return Metric(name, "lower", bounded=False, unit=unit, reads="numbers", per_item=per_item)


_OWN: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "higher", reads="classes", per_item=classification.hit),
        _top(3),
        _top(5),
        _whole("precision", "classes", classification.precision, worst_case.of_classes),
        _whole("recall", "classes", classification.recall, worst_case.of_classes),
        _whole("f1", "classes", classification.f1, worst_case.of_classes),
        _whole("roc_auc", "classes", ranking.roc_auc, worst_case.of_areas),
        _whole("pr_auc", "classes", ranking.pr_auc, worst_case.of_precisions),
        Metric(
            "log_loss",
            "lower",
            bounded=False,
            unit="nat",
            reads="classes",
            per_item=classification.log_loss,
            badness=classification.log_loss,
        ),
        Metric(
            "calibration_error",
            "lower",
            reads="classes",
            statistic=classification.calibration_error,
            by_chance=classification.calibrated_by_chance,
        ),
        Metric("label_accuracy", "higher", reads="labels", per_item=labels.right),
        Metric("subset_accuracy", "higher", reads="labels", per_item=labels.all_right),
        _whole("label_f1", "labels", labels.f1, worst_case.of_labels),
        _whole(
            "label_map", "labels", labels.mean_average_precision, worst_case.of_label_precisions
        ),
        Metric(
            "pixel_accuracy",
            "higher",
            reads="masks",
            per_item=masks.shares,
            statistic=masks.pixel_accuracy,
            worst_case=worst_case.of_items,
        ),
        _whole("mean_iou", "masks", masks.mean_iou, worst_case.of_masks),
        _recall(1),
        _recall(5),
        _error("mse", "target²", regression.squared_error),
        _error("mae", "target", regression.absolute_error),
        Metric(
            "rmse",
            "lower",
            bounded=False,
            unit="target",
            reads="numbers",
            statistic=regression.rmse,
        ),
        Metric(
            "relative_error",
            "lower",
            bounded=False,
            reads="numbers",
            statistic=regression.relative_error,
        ),
        Metric("cosine", "higher", bounded=False, reads="numbers", per_item=regression.cosine),
        Metric("r2", "higher", bounded=False, reads="numbers", statistic=regression.r2),
        Metric(
            "reconstruction_error",
            "lower",
            bounded=False,
            unit="input²",
            reads="errors",
            per_item=reconstruction.error,
            prepare=reconstruction.squared,
            takes_labels=False,
            grouped=True,
        ),
        Metric(
            "anomaly_auc",
            "higher",
            reads="errors",
            statistic=ranking.error_auc,
            prepare=reconstruction.squared,
            grouped=True,
            worst_case=worst_case.of_error_area,
            badness=ranking.misplaced,
        ),
        _boxes("coco_map", detection.mean_average_precision),
        _boxes("coco_map_50", detection.at_half),
        _whole("wer", "words", texts.error_rate, worst_case.of_items, "lower"),
        _whole("cer", "characters", texts.error_rate, worst_case.of_items, "lower"),
    )
}

METRICS = Table("edgekit.metrics", Metric, _OWN, _OWN.__getitem__)


def find(name: str, root: Path) -> Metric | None:
    """Return a metric by name, or the user's ``file.py:function``; nothing where neither is known.

    ``top_<k>`` and ``recall_at_<k>`` are known for every k from 1.
    """
    if is_reference(name):
        return user_metric(name, root)
    return METRICS.get(name) or _of_name(name)


def named(name: str, root: Path) -> Metric:
    """Return the metric of a name. Raises :class:`ProjectError` where :func:`find` has none."""
    metric = find(name, root)
    if metric is None:
        hint = f"metrics: {', '.join(METRICS)}, top_<k>, recall_at_<k> or file.py:function"
        raise ProjectError("EK-PROJECT-004", f"unknown metric {name!r}", hint)
    return metric


def is_known(name: str) -> bool:
    """Tell whether a name is a metric of ours."""
    return name in METRICS or _of_name(name) is not None


def _of_name(name: str) -> Metric | None:
    match = re.fullmatch(r"(top|recall_at)_([1-9]\d{0,5})", name)
    if match is None:
        return None
    return (_top if match[1] == "top" else _recall)(int(match[2]))
