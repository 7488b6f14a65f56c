"""Interval estimates as pure functions: proportions, bootstrap, latency, series of times."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .interval import Interval, items_to_settle_scaled, two_sided_z
from .proportions import items_to_settle, tango, tango_statistic, wilson
from .student import t_quantile, t_tail

if TYPE_CHECKING:
    from .bootstrap import bca_mean, bootstrap_statistic, constant_mean, unseen_share
    from .change_points import Step, steps
    from .launch_intervals import Launches, launch_ratio, percentile_interval
    from .order import least_independent, median_of_independent
    from .series import Drift, bimodal, drift, median_interval

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
    "t_quantile",
    "t_tail",
    "tango",
    "tango_statistic",
    "two_sided_z",
    "unseen_share",
    "wilson",
]

# What takes numpy is imported when it is first used: a gate decides on figures without it.
_WITH_NUMPY = {
    "Drift": "series",
    "Launches": "launch_intervals",
    "Step": "change_points",
    "bca_mean": "bootstrap",
    "bimodal": "series",
    "bootstrap_statistic": "bootstrap",
    "constant_mean": "bootstrap",
    "drift": "series",
    "launch_ratio": "launch_intervals",
    "least_independent": "order",
    "median_interval": "series",
    "median_of_independent": "order",
    "percentile_interval": "launch_intervals",
    "steps": "change_points",
    "unseen_share": "bootstrap",
}


def __getattr__(name: str) -> Any:
    if name not in _WITH_NUMPY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_WITH_NUMPY[name]}"), name)
    # Kept, as a module of the same name would be in its place.
    globals()[name] = value
    return value
