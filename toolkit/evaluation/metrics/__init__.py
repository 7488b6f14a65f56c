"""Metrics by name: a direction, a value per item where the metric decomposes, and its interval."""

from .classes import predicted_class, true_class
from .details import ClassDetail, ConfusedPair, Details, details
from .measurement import ULPS, drop, floor, measure, value
from .metric import TEXTS, Metric
from .parts import parts
from .preparation import group_labels, prepared
from .table import METRICS, find, is_known, named

__all__ = [
    "METRICS",
    "TEXTS",
    "ULPS",
    "ClassDetail",
    "ConfusedPair",
    "Details",
    "Metric",
    "details",
    "drop",
    "find",
    "floor",
    "group_labels",
    "is_known",
    "measure",
    "named",
    "parts",
    "predicted_class",
    "prepared",
    "true_class",
    "value",
]
