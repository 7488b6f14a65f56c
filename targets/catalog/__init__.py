"""The catalog of targets: one TOML file each, data and not code."""

from __future__ import annotations

import functools
import importlib
import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.plugins import Table
from edgekit.targets.catalog.listing import Listed, listed, read_listed

if TYPE_CHECKING:
    from edgekit.targets.catalog.target import Cpu, Npu, Runtime, Target, TargetMemory

__all__ = [
    "FOLDER",
    "SCHEMA",
    "TARGETS",
    "Cpu",
    "Listed",
    "Npu",
    "Runtime",
    "Target",
    "TargetMemory",
    "add",
    "every",
    "host",
    "is_own",
    "list_all",
    "load",
    "names",
    "own_id",
    "remove",
    "spoken",
]

FOLDER = Path(__file__).resolve().parent
SCHEMA = FOLDER / "target.schema.json"
# It is a part of a bundle's file name.
NAME = re.compile(r"[a-z0-9_]+([.-][a-z0-9_]+)*")
SHIPPED = {path.stem: path for path in sorted(FOLDER.glob("*.toml"))}
# edgekit's own by the name of their file, and those that projects of this process bring along.
FILES: dict[str, Path | Mapping[str, Any]] = dict(SHIPPED)


def __getattr__(name: str) -> Any:
    # What a target is made of is imported when first used: to list them takes none of it.
    if name not in ("Cpu", "Npu", "Runtime", "Target", "TargetMemory"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.target"), name)


def _read(name: str) -> Target:
    from edgekit.targets.catalog.parsing import parse, read

    source = FILES[name]
    return read(name, source) if isinstance(source, Path) else parse(name, source)


def _read_plugged(name: str, path: Path) -> Target:
    from edgekit.targets.catalog.parsing import read

    return read(name, path)


# A plug-in's entry point is the path of its TOML.
TARGETS: Table[Target] = Table("edgekit.targets", Path, FILES, _read, _read_plugged)


def names() -> tuple[str, ...]:
    """Return the ids of all targets, sorted; those of plug-ins that cannot be used, too."""
    return tuple(sorted(TARGETS))


def every() -> tuple[Target, ...]:
    """Return all targets that can be used, sorted by id."""
    return tuple(target for _, target in sorted(TARGETS.working().items()))


def list_all() -> tuple[Listed, ...]:
    """Return what a list shows of all targets that can be used, sorted by id."""
    own = [
        read_listed(name, source) if isinstance(source, Path) else listed(name, source)
        for name, source in FILES.items()
    ]
    plugged = [TARGETS[plugin.name] for plugin, error in TARGETS.plugged() if error is None]
    return tuple(sorted((*own, *(Listed(t.id, t.title, t.aliases) for t in plugged))))


@functools.cache
def load(name: str) -> Target:
    """Return the target of an id or an alias.

    Raises :class:`KeyError` where there is none, and :class:`PluginError` where the package that
    adds it is broken.
    """
    return TARGETS[name if name in TARGETS else own_id(name)]


def own_id(name: str) -> str:
    """Return the id of a target that is called by it or by an alias; what is neither, as it is."""
    if name in TARGETS:
        return name
    return _aliases().get(name, name)


def spoken() -> tuple[str, ...]:
    """Return every name that a target may be called by: ids and aliases, sorted."""
    return tuple(sorted({*TARGETS, *_aliases()}))


def is_own(name: str) -> bool:
    """Tell whether a project of this process brought a target along."""
    return name in FILES and name not in SHIPPED


def add(name: str, table: Mapping[str, Any]) -> None:
    """Let the table of a project's TOML file be a target of this process.

    Raises :class:`ValueError` for a name that no target may have, or one of edgekit's own has.
    """
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a name of a target: small letters, digits and hyphens")
    if name in SHIPPED:
        raise ValueError(f"{name!r} is a target of edgekit's own: choose another name")
    taken = _aliases().get(name, name)
    if taken != name:
        raise ValueError(f"{name!r} is another name of edgekit's {taken}: choose another one")
    FILES[name] = table
    _forget()


def remove(name: str) -> None:
    """Take a project's target out of this process's catalog again."""
    if is_own(name):
        del FILES[name]
        _forget()


def _forget() -> None:
    load.cache_clear()
    _aliases.cache_clear()


@functools.cache
def _aliases() -> dict[str, str]:
    """Return ids by alias; an id is never an alias, and the first to claim one has it."""
    owners: dict[str, str] = {}
    for target in list_all():
        for alias in target.aliases:
            owners.setdefault(alias, target.id)
    return {alias: name for alias, name in owners.items() if alias not in TARGETS}


def host() -> str | None:
    """Return the id of the target that this machine is, if the catalog has it."""
    name = f"{platform.system().lower()}-{platform.machine().lower()}"
    return name if name in TARGETS else None
