"""``[devices.NAME]``: devices and groups of them under names of the user's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, field_validator, model_validator

from edgekit.project.table import Table
from edgekit.project.units import Nanoseconds, Seconds, Size

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# Devices of every host, which need no book.
TAKEN = ("local", "tflm")


class DeviceBudgetsTable(Table):
    """``[devices.NAME] budgets``: limits of a bench on this device."""

    latency_p50: Nanoseconds | None = None
    """Largest median. ``latency_p50 = "5 ms"``"""
    latency_p95: Nanoseconds | None = None
    """Largest 95th percentile. ``latency_p95 = "8 ms"``"""
    memory: Size | None = None
    """Largest peak of resident memory, over the runtime's own. ``memory = "20 MB"``"""
    arena: Size | None = None
    """Largest tensor arena of TFLM. ``arena = "64 KiB"``"""


class DeviceTable(Table):
    """One device by its address, or a group of devices by their names."""

    address: str | None = None
    """Anything that --device takes. ``address = "ssh://pi@raspberrypi.local"``"""
    runtime: str | None = None
    """The runtime to use, where the address names none. ``runtime = "tflite-runtime"``"""
    members: tuple[str, ...] = ()
    """Makes it a group, of names, groups and addresses. ``members = ["pi4", "local"]``"""
    budgets: DeviceBudgetsTable = Field(default_factory=DeviceBudgetsTable)
    """Limits of a bench on this device. ``budgets = { latency_p50 = "5 ms" }``"""
    emulated: bool = False
    """Times measured there are not a real device's. ``emulated = true``"""
    benchmark_model: Path | None = None
    """The platform's benchmark_model, for a device without Python.

    ``benchmark_model = "tools/benchmark_model"``
    """
    attempts: int = Field(default=1, ge=1)
    """How often a bench is started there, where it fails. ``attempts = 2``"""
    time_limit: Seconds | None = Field(default=None, gt=0)
    """How long one attempt may use the device. Default: no limit. ``time_limit = "10 min"``"""

    @field_validator("members", mode="after")
    @classmethod
    def _members_differ(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"{twice!r} is named twice")
        return names

    @model_validator(mode="after")
    def _is_one_of_two(self) -> DeviceTable:
        if (self.address is None) == (not self.members):
            raise ValueError("a device has an address, a group has members: give one of the two")
        if self.members and (more := sorted(self.model_fields_set - {"members"})):
            raise ValueError(f"{more[0]!r} belongs to a device, and this is a group of them")
        return self


def check_names(tables: dict[str, DeviceTable]) -> dict[str, DeviceTable]:
    """Raise ValueError where a name is taken, or cannot name a device."""
    for name in tables:
        if name in TAKEN:
            raise ValueError(
                f"{name!r} is taken: every host has a device of that name, choose another name"
            )
        if not NAME.fullmatch(name):
            raise ValueError(
                f"{name!r} cannot name a device: use letters, digits, and . _ - after the first"
            )
    return tables


Devices = Annotated[dict[str, DeviceTable], AfterValidator(check_names)]


class DeviceFile(Table):
    """The user's own ``devices.toml``."""

    devices: Devices = Field(default_factory=dict)
