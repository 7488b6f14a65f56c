"""A target from the table of its TOML file."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgekit.targets.catalog.target import Cpu, Npu, Runtime, Target, TargetMemory
from edgekit.types import Conversion
from edgekit.types.units import parse_size

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# Runtimes whose own versions the table of operator versions has.
TABLED = ("litert", "tflite-runtime", "tensorflow", "tflm")
LISTS = ("notes", "processors", "boards", "aliases", "precisions", "io", "delegates", "reached")


def read(name: str, path: Path) -> Target:
    """Return the target of a TOML file. Raises what :func:`parse` raises, and OSError."""
    return parse(name, tomllib.loads(path.read_text(encoding="utf-8")))


def parse(name: str, table: Mapping[str, Any]) -> Target:
    """Return a target from its table.

    Raises :class:`KeyError` where a field is missing, TypeError where one is unknown, and
    ValueError where a size is not one.
    """
    runtimes = tuple(_runtime(row) for row in table["runtimes"])
    kinds = table["bundle"]
    return Target(
        id=name,
        title=table["title"],
        system=table["system"],
        machine=table["machine"],
        bundles=(kinds,) if isinstance(kinds, str) else tuple(kinds),
        runtimes=runtimes,
        npu=Npu(**table["npu"]) if "npu" in table else None,
        conversion=_conversion(table.get("conversion", {})),
        cpu=_cpu(table["cpu"]) if "cpu" in table else None,
        memory=TargetMemory(**{k: parse_size(v) for k, v in table.get("memory", {}).items()}),
        free_sizes=table.get("free_sizes", True),
        sources=dict(table.get("sources", {})),
        **{key: tuple(table.get(key, ())) for key in LISTS},
    )


def _runtime(row: Mapping[str, Any]) -> Runtime:
    name = row["name"]
    return Runtime(
        name,
        row["package"],
        row["version"],
        tuple(row.get("requires", ())),
        row.get("note", ""),
        row.get("versions", ""),
        row.get("manager", "pip"),
        row.get("kernels", name if name in TABLED else ""),
        row.get("loads", "tflite"),
        row.get("python", ""),
    )


def _cpu(table: Mapping[str, Any]) -> Cpu:
    return Cpu(**{**table, "features": tuple(table.get("features", ()))})


def _conversion(table: Mapping[str, Any]) -> Conversion:
    """Return a profile from its table. Raises :class:`TypeError` where a key is unknown."""
    custom = tuple(table.get("custom_operators", ()))
    return Conversion(**{**table, "custom_operators": custom})
