"""``[devices]`` of the current folder's project file, for commands that are given MODEL."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgekit.cli.console import say

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# Tables of tables under names of the user's.
NAMED = ("targets", "devices")


def read_device_tables(file: str, names: Sequence[str], quiet: bool) -> dict[str, Any]:
    """Return ``[devices]`` of this folder's project file where it defines one of ``names``.

    A note on standard error lists the settings of the file that are not used. Raises
    :class:`ProjectError` where the table is wrong and one of its devices is named.
    """
    try:
        text = Path(file).read_text(encoding="utf-8")
        table = tomllib.loads(text)
    except OSError:
        return {}
    except (ValueError, RecursionError):
        if not quiet:
            _note(file, "text that is not valid TOML")
        return {}
    devices = table.get("devices")
    used = isinstance(devices, dict) and any(name in devices for name in names)
    unused = {key: value for key, value in table.items() if key != "devices" or not used}
    if (settings := "; ".join(_settings(unused))) and not quiet:
        _note(file, settings, used, _records(table))
    if not used:
        return {}
    _check(devices, file, text)
    return {"devices": devices}


def _check(devices: object, file: str, text: str) -> None:
    from pydantic import ValidationError

    from edgekit.project import explain
    from edgekit.project.devices import DeviceFile

    try:
        DeviceFile.model_validate({"devices": devices})
    except ValidationError as error:
        raise explain(error, Path(file), text) from error


def _records(table: Mapping[str, Any]) -> bool:
    record = table.get("record")
    return isinstance(record, dict) and bool(record.get("mlflow"))


def _note(file: str, settings: str, used: bool = False, records: bool = False) -> None:
    read = "only its [devices] are read" if used else "it is not read"
    message = f"this folder has {file}; {read}, because MODEL is given. Not used: {settings}"
    if records:
        message += "; nothing of this is recorded in MLflow"
    say(f"info EK-NOTE-081: {message}", err=True)
    say(f"  to use them for this model, add --project {file}", err=True)


def _settings(table: Mapping[str, Any]) -> Iterator[str]:
    """Yield each table that says more than the model's source, with its keys."""
    for name, inner in table.items():
        if not isinstance(inner, dict):
            yield _shown(name)
        elif name in NAMED:
            yield from (f"[{name}.{_shown(key)}]" for key in inner)
        elif keys := [_shown(key) for key in inner if (name, key) != ("model", "source")]:
            yield f"[{_shown(name)}] {', '.join(keys)}"


def _shown(key: str) -> str:
    """Return a key of somebody's file, on one line and of bounded length."""
    return repr(key[:60])[1:-1]
