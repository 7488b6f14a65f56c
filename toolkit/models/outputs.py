"""The outputs of a Keras model by name, in its own order. Runs in the worker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def output_names(model: Any) -> list[str]:
    """Return the names of a model's outputs; ``output_0`` and so on if two have the same name."""
    outputs = getattr(model, "outputs", None) or []
    names = [str(name).replace("/", "_") for name in getattr(model, "output_names", None) or []]
    if len(names) != len(outputs) or len(set(names)) != len(names):
        return [f"output_{number}" for number in range(len(outputs))]
    return names


def named(answers: Any, names: list[str]) -> dict[str, Any]:
    """Return a model's outputs by name: those of a dict by its keys, others by ``names``.

    What is nested in either gets its position as a suffix.
    """
    if isinstance(answers, Mapping):
        by_name: dict[str, Any] = {}
        for key, value in answers.items():
            by_name |= _flat(value, str(key).replace("/", "_"))
        return by_name
    flat = list(_flat(answers, "output").values())
    if len(flat) != len(names):
        names = [f"output_{number}" for number in range(len(flat))]
    return dict(zip(names, flat, strict=True))


def _flat(value: Any, name: str) -> dict[str, Any]:
    parts: dict[str, Any] = {}
    if isinstance(value, Mapping):
        for key, item in value.items():
            parts |= _flat(item, f"{name}_{key}")
    elif isinstance(value, (list, tuple)):
        for at, item in enumerate(value):
            parts |= _flat(item, f"{name}_{at}")
    else:
        parts[name] = value
    return parts
