"""What columns and features hold, where the user says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Feature:
    """How a feature of a record is read: as an array ``[*shape]`` of a dtype.

    Raw bytes are numbers of that dtype, little-endian; a list of numbers takes the shape. A record
    without it has ``default`` in all places, where one is given. ``name`` is what the array is
    called.
    """

    shape: tuple[int, ...] = ()
    dtype: str = "float32"
    default: float | None = None
    name: str | None = None


@dataclass(frozen=True)
class DataTypes:
    """What the columns of a table and the features of records hold.

    A column is "float", "integer" or "ignore", or the names of its categories, which become one
    value each: 1 for the one that a row has, else 0. With ``drop_missing`` rows without a value are
    left out. Where there are ``features``, no others are read.
    """

    columns: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    drop_missing: bool = False
    features: Mapping[str, Feature] = field(default_factory=dict)
