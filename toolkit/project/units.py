"""Sizes, times and numbers as the project file writes them."""

from __future__ import annotations

import fractions
import math
import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainValidator, ValidationInfo

from edgekit.types.units import parse_size, parse_unit

MILLISECONDS = {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000}
TIMES = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9}

# More than anybody trains for, or a computer holds: a number such as 10^12 is a slip.
MOST_EPOCHS = 1_000_000
MOST_ITEMS = 1_000_000_000


def parse_seconds(text: Any) -> float:
    """Return a duration such as ``10 min``, in seconds. Raises ValueError."""
    return parse_unit(text, MILLISECONDS, "duration") / 1000


def parse_number(value: Any) -> float:
    """Return a number, or a fraction such as ``1/255`` or ``1/127.5``. Raises ValueError."""
    if isinstance(value, bool):
        raise ValueError(f"{value!r} is not a number")
    if isinstance(value, str):
        try:
            above, *below = map(fractions.Fraction, value.replace(" ", "").split("/"))
            if len(below) > 1:
                raise ValueError
            return float(above / below[0] if below else above)
        except OverflowError:
            raise ValueError(f"{value!r} is not a finite number") from None
        except (ValueError, ZeroDivisionError):
            raise ValueError(f"{value!r} is not a number or a fraction such as 1/255") from None
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    except TypeError:
        raise ValueError(f"{value!r} is not a number") from None
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is not a finite number")
    return number


class Share(float):
    """A drop or a value that was written with its unit: ``1%`` or ``1pt``, of a metric in 0..1."""


def parse_drop(value: Any) -> float:
    """Return a metric's drop or value: ``1%`` and ``1pt`` are ``0.01``, and are a :class:`Share`.

    A bare number stays one: whether it may be meant depends on the metric. Raises ValueError.
    """
    if isinstance(value, Share):
        return value
    if isinstance(value, bool):
        raise ValueError(f"{value!r} is not a number")
    matched = None
    if isinstance(value, str):
        matched = re.fullmatch(r"(.*?)\s*(%|pts?|points?)", value.strip())
    try:
        if matched:
            return Share(parse_number(matched[1]) / 100)
        return parse_number(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{value!r} is not a number such as 0.01, 1% or 1pt") from None


def parse_numbers(value: Any) -> float | tuple[float, ...]:
    """Return a number, or one per channel: a list, or ``0.485,0.456,0.406``. Raises ValueError."""
    if isinstance(value, str) and "," in value:
        value = value.split(",")
    if not isinstance(value, list | tuple):
        return parse_number(value)
    if not value:
        raise ValueError("a list of one number per channel is empty")
    numbers = tuple(parse_number(text) for text in value)
    return numbers if len(numbers) > 1 else numbers[0]


# The context in which tables that edgekit wrote itself are read, where bytes, nanoseconds and
# seconds are plain numbers.
WRITTEN = "written by edgekit"


def _read(parse: Callable[[Any], float]) -> BeforeValidator:
    """Return a quantity with its unit, or, in what edgekit wrote, a number of at least 0."""

    def read(value: Any, info: ValidationInfo) -> float:
        if info.context != WRITTEN or isinstance(value, str | bool):
            return parse(value)
        number = parse_number(value)
        if number < 0:
            raise ValueError(f"{value!r} is less than 0")
        return number

    return BeforeValidator(read)


Size = Annotated[int, _read(parse_size)]
Nanoseconds = Annotated[float, _read(lambda text: parse_unit(text, TIMES, "time"))]
Seconds = Annotated[float, _read(parse_seconds)]
Number = Annotated[float, BeforeValidator(parse_number)]
# Plain, so that the unit that was written is kept.
Drop = Annotated[float, PlainValidator(parse_drop)]
Numbers = Annotated[float | tuple[float, ...], BeforeValidator(parse_numbers)]
