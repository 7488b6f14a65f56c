"""What the columns of a table hold: found in its cells, or stated by the user."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import DataError, did_you_mean
from edgekit.types import DataTypes

INTEGERS = (np.uint8, np.int16, np.int32, np.int64)
IGNORED, FLOAT, INTEGER = "ignore", "float", "integer"
# What programs write for a value that there is not.
MISSING = ("", "na", "n/a", "nan", "null", "none", "?", "-")


@dataclass
class Column:
    """What a column turned out to hold: whole numbers in a range, numbers, text, or one of its
    categories.
    """

    name: str
    place: int
    stated: str = ""
    categories: tuple[str, ...] = ()
    text: bool = False
    whole: bool = True
    low: int = 0
    high: int = 0

    def __post_init__(self) -> None:
        self.whole = self.stated != FLOAT
        self.high = 1 if self.categories else 0

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of the values that an item has of it."""
        return tuple(f"{self.name}={one}" for one in self.categories) or (self.name,)

    def wrong(self, texts: Sequence[str]) -> int | None:
        """Widen what it holds by cells; the place of the first that does not fit, if any."""
        if self.categories:
            return _first(texts, self.categories.__contains__)
        was = self.whole
        if not _take(self, texts):
            return _first(texts, is_number)
        if self.stated == INTEGER and was and not self.whole:
            return _first(texts, _is_whole)
        return None

    def expected(self) -> str:
        """Say what a cell of it must be."""
        if self.categories:
            return f"is not one of its categories {', '.join(self.categories)[:200]}"
        return "is not a whole number" if self.stated == INTEGER else "is not a number"

    def values(self, rows: Sequence[Sequence[str]]) -> npt.NDArray[Any]:
        """Return the column's values ``[n, parts]`` of rows."""
        texts = [row[self.place] for row in rows]
        if self.categories:
            return np.array([[text == one for one in self.categories] for text in texts], np.int64)
        return np.array(texts, np.int64 if self.whole else np.float64)[:, None]


def columns_of(source: str, header: Sequence[str], types: DataTypes) -> dict[str, Column]:
    """Return the columns of a header. Raises :class:`DataError` where it lacks a stated one."""
    for name in types.columns:
        if name not in header:
            message = f"{source} has no column {name!r}{did_you_mean(name, header)}"
            hint = f"[data] columns says what it holds; its columns are {', '.join(header)[:300]}"
            raise DataError("EK-DATA-016", message, hint)
    columns = {}
    for place, name in enumerate(header):
        said = types.columns.get(name, "")
        categories = () if isinstance(said, str) else said
        columns[name] = Column(name, place, said if isinstance(said, str) else "", categories)
    return columns


def values(rows: Sequence[Sequence[str]], columns: Sequence[Column]) -> npt.NDArray[Any]:
    """Return the values ``[n, values]`` of columns: the narrowest integers, or float32."""
    joined = np.concatenate([column.values(rows) for column in columns], axis=1)
    if not all(column.whole for column in columns):
        return np.asarray(joined, np.float32)
    low, high = min(c.low for c in columns), max(c.high for c in columns)
    ranges = [np.iinfo(dtype) for dtype in INTEGERS]
    dtype = next(info.dtype for info in ranges if info.min <= low and high <= info.max)
    return np.asarray(joined, dtype)


def layout(arrays: Mapping[str, Sequence[Column]]) -> str:
    """Say which values an item has; empty where they are the columns, as they are."""
    if not any(column.categories for columns in arrays.values() for column in columns):
        return ""
    named = {name: [part for c in columns for part in c.parts] for name, columns in arrays.items()}
    return "; ".join(f"{name} is {', '.join(parts)}" for name, parts in named.items())


def is_missing(text: str) -> bool:
    """Whether a cell says that there is no value."""
    return text.lower() in MISSING


def is_number(text: str) -> bool:
    """Whether a cell is a finite number. Python reads 1_000 as one; no table means that."""
    try:
        return "_" not in text and math.isfinite(float(text))
    except ValueError:
        return False


def _is_whole(text: str) -> bool:
    return text.lstrip("+-").isdecimal()


def _first(texts: Sequence[str], fits: Any) -> int | None:
    return next((place for place, text in enumerate(texts) if not fits(text)), None)


def _take(column: Column, texts: Sequence[str]) -> bool:
    """Widen what a column holds by numbers; false where a text is not one, or not finite."""
    if any("_" in text for text in texts):
        return False
    try:
        if column.whole and all(map(_is_whole, texts)):
            whole = np.array(texts, np.int64)
            column.low = min(column.low, int(whole.min()))
            column.high = max(column.high, int(whole.max()))
            return True
        column.whole = False
        return bool(np.isfinite(np.array(texts, np.float64)).all())
    except OverflowError:
        # An integer of more than 64 bits.
        column.whole = False
        return all(map(is_number, texts))
    except ValueError:
        return False
