"""Emulated devices: their outputs are real, their latencies are estimates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from edgekit.targets.devices import Device
from edgekit.types import Benched, Measurement

DECLARED = "as declared"
T = TypeVar("T")


def emulator_of(device: Device) -> str:
    """Return the emulator that a device is, by its facts; empty where it is none.

    A device that its user has declared to be one may not say which.
    """
    found = device.facts().get("emulated")
    return DECLARED if found is True else str(found or "")


def no_budget(device: str, emulator: str) -> str:
    """Tell why no latency budget can be judged there."""
    return f"{device} is emulated ({emulator}): only a device's own latency satisfies a budget"


def marked(row: Benched) -> Benched:
    """Return a row whose times are estimates, where its device is emulated; else the row as it
    is.
    """
    if not row.emulated:
        return row
    score = row.mlperf_tiny
    if score is not None:
        score = replace(score, throughput=estimates(score.throughput, row.emulated))
    return replace(
        row,
        phases=estimates(row.phases, row.emulated),
        latency=estimates(row.latency, row.emulated),
        sustained=estimates(row.sustained, row.emulated),
        profile=estimates(row.profile, row.emulated),
        mlperf_tiny=score,
    )


def estimates(value: T, emulator: str) -> T:
    """Return what holds measurements with all of them estimates that name the emulator."""
    return _estimates(value, f"emulated ({emulator})")  # type: ignore[no-any-return]


def _estimates(value: Any, mark: str) -> Any:
    if isinstance(value, Measurement):
        if value.how == "unavailable":
            return value
        return replace(value, how="estimated", tool=f"{mark}: {value.tool}".removesuffix(": "))
    if is_dataclass(value) and not isinstance(value, type):
        held = {one.name: _estimates(getattr(value, one.name), mark) for one in fields(value)}
        return replace(value, **held)
    if isinstance(value, tuple):
        return tuple(_estimates(one, mark) for one in value)
    if isinstance(value, Mapping):
        return {name: _estimates(one, mark) for name, one in value.items()}
    return value
