"""The catalog of targets: one TOML file each, data and not code."""

from __future__ import annotations

import functools
import platform
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgekit.plugins import Table
from edgekit.types import Conversion

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Runtime:
    """A runtime that a target may meet: its edgekit name, pip package and pinned version."""

    name: str
    package: str
    version: str
    requires: tuple[str, ...]
    note: str


@dataclass(frozen=True)
class Npu:
    """An accelerator that a model is compiled for: the compiler (a pip package, or a command).

    ``system_config`` and ``memory_mode`` are the compiler's own names; empty for its defaults.
    """

    compiler: str
    accelerator: str
    system_config: str = ""
    memory_mode: str = ""


@dataclass(frozen=True)
class Target:
    """A kind of device: what it is, the runtimes it may meet, how files and bundles are made.

    ``processors`` are those of a microcontroller, as firmware names them. ``boards`` are what the
    name of its board begins with, where a target is of one kind of board only.
    """

    id: str
    title: str
    system: str
    machine: str
    bundle: str
    runtimes: tuple[Runtime, ...]
    notes: tuple[str, ...]
    npu: Npu | None = None
    conversion: Conversion = field(default_factory=Conversion)
    processors: tuple[str, ...] = ()
    boards: tuple[str, ...] = ()


def _read(name: str, path: Path) -> Target:
    return parse(name, tomllib.loads(path.read_text(encoding="utf-8")))


# edgekit's own by the name of their file; a plug-in's entry point is the path of its TOML.
TARGETS: Table[Target] = Table(
    "edgekit.targets",
    Path,
    sorted(path.stem for path in FOLDER.glob("*.toml")),
    lambda name: _read(name, FOLDER / f"{name}.toml"),
    _read,
)


def names() -> tuple[str, ...]:
    """Return the ids of all targets, sorted; those of plug-ins that cannot be used, too."""
    return tuple(sorted(TARGETS))


def every() -> tuple[Target, ...]:
    """Return all targets that can be used, sorted by id."""
    return tuple(target for _, target in sorted(TARGETS.working().items()))


@functools.cache
def load(name: str) -> Target:
    """Return the target called ``name``.

    Raises :class:`KeyError` where there is none, and :class:`PluginError` where the package that
    adds it is broken.
    """
    return TARGETS[name]


def parse(name: str, table: dict[str, Any]) -> Target:
    """Return a target from its table. Raises :class:`KeyError` where a field is missing."""
    runtimes = tuple(
        Runtime(
            row["name"],
            row["package"],
            row["version"],
            tuple(row.get("requires", ())),
            row.get("note", ""),
        )
        for row in table["runtimes"]
    )
    return Target(
        id=name,
        title=table["title"],
        system=table["system"],
        machine=table["machine"],
        bundle=table["bundle"],
        runtimes=runtimes,
        notes=tuple(table.get("notes", ())),
        npu=Npu(**table["npu"]) if "npu" in table else None,
        conversion=_conversion(table.get("conversion", {})),
        processors=tuple(table.get("processors", ())),
        boards=tuple(table.get("boards", ())),
    )


def _conversion(table: dict[str, Any]) -> Conversion:
    """Return a profile from its table. Raises :class:`TypeError` where a key is unknown."""
    custom = tuple(table.get("custom_operators", ()))
    return Conversion(**{**table, "custom_operators": custom})


def host() -> str | None:
    """Return the id of the target that this machine is, if the catalog has it."""
    name = f"{platform.system().lower()}-{platform.machine().lower()}"
    return name if name in TARGETS else None
