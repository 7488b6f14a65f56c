"""The devices that the user has named: those of the project file, then ``devices.toml``."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from edgekit.errors import ProjectError
from edgekit.project import Project, explain
from edgekit.project.devices import DeviceFile, DeviceTable
from edgekit.targets.devices.book import DeviceBook, DeviceBudgets, Listed

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = "devices.toml"


def user_file() -> Path:
    """Return ``$XDG_CONFIG_HOME/edgekit/devices.toml``, by default below ``~/.config``."""
    # The XDG Base Directory Specification: a path that is not absolute does not count.
    stated = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    root = stated if stated.is_absolute() else Path("~/.config").expanduser()
    return root / "edgekit" / FILE


def device_book(project: Project | None = None) -> DeviceBook:
    """Return the devices of the project and of the user's own file; the project's win.

    Raises :class:`ProjectError` where the user's file is wrong.
    """
    file = user_file()
    listed = _listed(_read(file), file.parent) if file.is_file() else {}
    if project is not None:
        listed |= _listed(project.devices, project.root)
    return DeviceBook(listed)


def _read(file: Path) -> Mapping[str, DeviceTable]:
    try:
        text = file.read_text(encoding="utf-8")
        return DeviceFile.model_validate(tomllib.loads(text)).devices
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProjectError("EK-PROJECT-002", f"{file} is not valid TOML: {error}") from error
    except OSError as error:
        raise ProjectError("EK-PROJECT-002", f"{file} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise explain(error, file, text) from error


def _listed(tables: Mapping[str, DeviceTable], root: Path) -> dict[str, Listed]:
    return {name: _one(name, table, root) for name, table in tables.items()}


def _one(name: str, table: DeviceTable, root: Path) -> Listed:
    path = table.benchmark_model
    return Listed(
        name=name,
        address=table.address or "",
        runtime=table.runtime or "",
        members=table.members,
        budgets=DeviceBudgets(**table.budgets.model_dump()),
        estimates="emulated (the device book says so)" if table.emulated else "",
        attempts=table.attempts,
        time_limit=table.time_limit,
        benchmark_model=str(root / path.expanduser()) if path else "",
    )
