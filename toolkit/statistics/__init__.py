"""Interval estimates as pure functions: proportions, bootstrap, latency."""

from .bootstrap import bca_mean, bootstrap_statistic, items_to_settle_scaled
from .interval import Interval
from .latency import paired_ratio, percentile_interval
from .proportions import items_to_settle, tango, wilson

__all__ = [
    "Interval",
    "bca_mean",
    "bootstrap_statistic",
    "items_to_settle",
    "items_to_settle_scaled",
    "paired_ratio",
    "percentile_interval",
    "tango",
    "wilson",
]
