"""Interval estimates as pure functions: proportions, bootstrap, latency, series of times."""

from .bootstrap import bca_mean, bootstrap_statistic, items_to_settle_scaled
from .interval import Interval
from .latency import paired_ratio, percentile_interval
from .proportions import items_to_settle, tango, wilson
from .series import Drift, bimodal, drift, median_interval

__all__ = [
    "Drift",
    "Interval",
    "bca_mean",
    "bimodal",
    "bootstrap_statistic",
    "drift",
    "items_to_settle",
    "items_to_settle_scaled",
    "median_interval",
    "paired_ratio",
    "percentile_interval",
    "tango",
    "wilson",
]
