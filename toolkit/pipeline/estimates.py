"""Times that are estimates: marked wherever they are kept, and no budget is judged by them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from edgekit.types import Benched, Measurement

T = TypeVar("T")


def no_budget(device: str, reason: str) -> str:
    """Tell why no latency budget can be judged there."""
    return f"the times of {device} are estimates, which satisfy no budget: {reason}"


def marked(row: Benched) -> Benched:
    """Return a row with its times as estimates, where those of its device are; else as it is."""
    if not row.estimates:
        return row
    score = row.mlperf_tiny
    if score is not None:
        score = replace(score, throughput=as_estimates(score.throughput, row.estimates))
    return replace(
        row,
        phases=as_estimates(row.phases, row.estimates),
        latency=as_estimates(row.latency, row.estimates),
        sustained=as_estimates(row.sustained, row.estimates),
        profile=as_estimates(row.profile, row.estimates),
        mlperf_tiny=score,
    )


def as_estimates(value: T, reason: str) -> T:
    """Return what holds measurements with all of them estimates; as it is without a reason."""
    return _as_estimates(value, reason) if reason else value


def _as_estimates(value: Any, reason: str) -> Any:
    if isinstance(value, Measurement):
        if value.how == "unavailable":
            return value
        return replace(value, how="estimated", tool=f"{reason}: {value.tool}".removesuffix(": "))
    if is_dataclass(value) and not isinstance(value, type):
        changed = {
            one.name: _as_estimates(getattr(value, one.name), reason) for one in fields(value)
        }
        return replace(value, **changed)
    if isinstance(value, tuple):
        return tuple(_as_estimates(one, reason) for one in value)
    if isinstance(value, Mapping):
        return {name: _as_estimates(one, reason) for name, one in value.items()}
    return value
