"""The project file beside the user, of which a command that is given MODEL reads the devices."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# Tables of tables under names of the user's.
NAMED = ("targets", "devices")


def read_device_tables(file: str, names: Sequence[str], quiet: bool) -> dict[str, Any]:
    """Return ``[devices]`` of this folder's project file where one of ``names`` is in it.

    What else the file would have given is said on standard error. Raises :class:`ProjectError`
    where the table is wrong and one of its devices is asked for.
    """
    try:
        text = Path(file).read_text(encoding="utf-8")
        table = tomllib.loads(text)
    except OSError:
        return {}
    except (ValueError, RecursionError):
        if not quiet:
            _tell(file, "something that is not valid TOML")
        return {}
    devices = table.get("devices")
    taken = isinstance(devices, dict) and any(name in devices for name in names)
    held = "; ".join(_held({k: v for k, v in table.items() if k != "devices" or not taken}))
    if held and not quiet:
        _tell(file, held, taken)
    if not taken:
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


def _tell(file: str, held: str, taken: bool = False) -> None:
    read = "read for its [devices] alone" if taken else "not read"
    message = f"{file} of this folder is {read}, because MODEL is given; it holds {held}"
    click.echo(f"info EK-NOTE-081: {message}", err=True)
    click.echo(f"  to take what it says, for this model: --project {file}", err=True)


def _held(table: Mapping[str, Any]) -> Iterator[str]:
    """Each table that says something besides the model's source, with its keys."""
    for name, inner in table.items():
        if not isinstance(inner, dict):
            yield _shown(name)
        elif name in NAMED:
            yield from (f"[{name}.{_shown(one)}]" for one in inner)
        elif keys := [_shown(key) for key in inner if (name, key) != ("model", "source")]:
            yield f"[{_shown(name)}] {', '.join(keys)}"


def _shown(key: str) -> str:
    """Return a key of somebody's file, on one line and of bounded length."""
    return repr(key[:60])[1:-1]
