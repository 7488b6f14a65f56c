"""``[models.NAME]``: several models in one project file, each laid over the file's other tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgekit.errors import ProjectError

KEY = "models"
# What a model may say for itself besides the keys of [model], and how many levels of its tables
# are laid over the file's key by key: those of targets down to their budgets.
LEVELS = {
    "data": 1,
    "train": 1,
    "compress": 1,
    "convert": 1,
    "evaluate": 1,
    "bundle": 1,
    "limits": 1,
    "lock": 1,
    "targets": 3,
    "candidates": 3,
}
WAIVER = "waiver"


def tables_of(table: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the table of each model of a project file by its name; empty where it has no [models].

    A key that a model states replaces the file's; waivers are those of both. Raises
    :class:`ProjectError` where names collide.
    """
    models = table.get(KEY)
    if models is None:
        return {}
    if not isinstance(models, dict) or not all(isinstance(one, dict) for one in models.values()):
        hint = 'each model has a table of its own, such as [models.small] with a "source"'
        raise ProjectError("EK-PROJECT-003", "models: it holds something else than tables", hint)
    if not models:
        raise ProjectError("EK-PROJECT-003", "models: there is no model in it", "[models.small]")
    _check_names(table, models)
    base = {key: value for key, value in table.items() if key != KEY}
    return {name: _one(name, base, own) for name, own in models.items()}


def _check_names(table: Mapping[str, Any], models: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse names that are stated twice, or that some file systems take for one."""
    hint = "a model's name is the key of its table: [models.NAME]"
    general = table.get("model")
    stated = [f"models.{name}" for name, own in models.items() if "name" in own]
    if isinstance(general, dict):
        stated += ["model"] if "name" in general else []
    if stated:
        message = f"[{stated[0]}] has the key 'name', and the file has [models]"
        raise ProjectError("EK-PROJECT-081", message, hint)
    seen: dict[str, str] = {}
    for name in models:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            message = f"[models.{other}] and [models.{name}] would write into one folder of build/"
            raise ProjectError("EK-PROJECT-081", message, "tell them apart by more than capitals")


def _one(name: str, base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Lay a model's table over those of the file."""
    merged = dict(base)
    general = base.get("model")
    merged["model"] = {**(general if isinstance(general, dict) else {}), "name": name}
    for key, value in own.items():
        if key == WAIVER:
            merged[key] = [*base.get(key, ()), *value] if isinstance(value, list) else value
        elif key in LEVELS:
            merged[key] = _over(base.get(key), value, LEVELS[key])
        else:
            merged["model"][key] = value
    return merged


def _over(base: Any, own: Any, levels: int) -> Any:
    """Lay a table over another, so many levels deep; below them a key replaces."""
    if levels == 0 or not isinstance(base, dict) or not isinstance(own, dict):
        return own
    return {**base, **{key: _over(base.get(key), value, levels - 1) for key, value in own.items()}}


def several(file: str, names: tuple[str, ...]) -> ProjectError:
    """Return the error of who needs one model of a file that has several."""
    message = f"{file} has {len(names)} models: {', '.join(names)}"
    return ProjectError("EK-PROJECT-080", message, f"pick one: --model {names[0]}")
