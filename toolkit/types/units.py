"""Sizes, and other quantities, as people write them: a number and a unit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

SIZES = {"B": 1, "kB": 1000, "MB": 1000**2, "GB": 1000**3}
SIZES |= {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
PATTERN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Zµ]+)\s*")


def parse_unit(text: Any, units: Mapping[str, int], noun: str) -> float:
    """Parse a number with its unit, to the smallest unit. Raises :class:`ValueError`."""
    match = PATTERN.fullmatch(text) if isinstance(text, str) else None
    if not match or match[2] not in units:
        known = ", ".join(units)
        # The case of a unit is easily mistaken.
        near = [unit for unit in units if match and unit.lower() == match[2].lower()]
        meant = f"; did you mean '{match[1]} {near[0]}'?" if match and near else ""
        raise ValueError(f"{text!r} is not a {noun}: write a number and one of {known}{meant}")
    return float(match[1]) * units[match[2]]


def parse_size(text: Any) -> int:
    """Return a size such as ``150 kB`` (1000) or ``64 KiB`` (1024), in bytes. Raises ValueError."""
    return round(parse_unit(text, SIZES, "size"))
