"""Interval estimates as pure functions: proportions, bootstrap, latency, series of times."""

from .bootstrap import (
    bca_mean,
    bootstrap_statistic,
    constant_mean,
    items_to_settle_scaled,
    unseen_share,
)
from .interval import Interval
from .launch_intervals import Launches, launch_ratio, percentile_interval
from .order import least_independent, median_of_independent
from .proportions import items_to_settle, tango, wilson
from .series import Drift, bimodal, drift, median_interval
from .steps import Step, steps

__all__ = [
    "Drift",
    "Interval",
    "Launches",
    "Step",
    "bca_mean",
    "bimodal",
    "bootstrap_statistic",
    "constant_mean",
    "drift",
    "items_to_settle",
    "items_to_settle_scaled",
    "launch_ratio",
    "least_independent",
    "median_interval",
    "median_of_independent",
    "percentile_interval",
    "steps",
    "tango",
    "unseen_share",
    "wilson",
]
