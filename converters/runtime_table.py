"""The table of operator versions and releases, read from ``runtime_versions.toml``."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = Path(__file__).resolve().with_name("runtime_versions.toml")
NONE = "-"


@dataclass(frozen=True)
class Releases:
    """The first releases that run something; empty where no release does yet."""

    tensorflow: str
    litert: str

    @property
    def order(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Sorts by how new a runtime must be; a release that is not there is the newest."""
        return _order(self.tensorflow), _order(self.litert)


@dataclass(frozen=True)
class Distribution:
    """A package manager's name for a runtime, and the versions of it that could be sourced.

    ``of`` is the axis its versions count on: ``tensorflow`` or ``litert``.
    """

    manager: str
    name: str
    of: str
    source: str
    versions: tuple[str, ...]


@dataclass(frozen=True)
class RuntimeTable:
    """Releases by operator and version, by feature without a version, and where they are had."""

    date: str
    tensorflow: str
    operators: Mapping[tuple[str, int], Releases]
    features: Mapping[tuple[str, str], Releases]
    avoid: Mapping[tuple[str, int | str], str]
    distributions: tuple[Distribution, ...]


def release(text: str) -> tuple[int, ...]:
    """Parse a release's numbers, without a suffix. Raises :class:`ValueError` if there are none."""
    match = re.match(r"\d+(\.\d+){0,2}", text)
    if match is None:
        raise ValueError(f"{text!r} is not a release")
    return tuple(int(part) for part in match[0].split("."))


def _order(text: str) -> tuple[int, ...]:
    return release(text) if text else (1 << 30,)


def parse(document: Mapping[str, Any]) -> RuntimeTable:
    """Build the table from its document. Raises :class:`KeyError` if a field is missing."""
    later = {key: first for first, keys in document["litert"].items() for key in keys}
    operators = {
        (name, version): _releases(name, version, first, later, document["litert_first"])
        for name, row in document["operators"].items()
        for version, first in enumerate(row, 1)
    }
    return RuntimeTable(
        date=document["date"],
        tensorflow=document["tensorflow"],
        operators=operators,
        features={
            (row["operator"], row["uses"]): Releases(row["tensorflow"], row["litert"])
            for row in document["feature"]
        },
        avoid={
            (row["operator"], row.get("version", row.get("uses"))): row["do"]
            for row in document["avoid"]
        },
        distributions=tuple(
            Distribution(**{**row, "versions": tuple(row["versions"])})
            for row in document["package"]
        ),
    )


def _releases(
    name: str, version: int, first: str, later: Mapping[str, str], litert: str
) -> Releases:
    if first == NONE:
        return Releases("", later.get(f"{name} {version}", ""))
    return Releases(first, later.get(f"{name} {version}", litert))


@functools.cache
def table() -> RuntimeTable:
    """Return the table that edgekit ships."""
    return parse(tomllib.loads(FILE.read_text(encoding="utf-8")))
