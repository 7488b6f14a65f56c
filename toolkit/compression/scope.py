"""Resolve a scheme's setting of each layer: by default, class or name pattern; later wins."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from edgekit.errors import CompressionError, did_you_mean

V = TypeVar("V")


def setting(
    name: str, kind: str, everywhere: V, types: Mapping[str, V], layers: Mapping[str, V]
) -> V:
    """Return the setting of one layer.

    ``types`` is keyed by class name, ``layers`` by a shell pattern of the layer's name
    (``block_1_*``); the last pattern that matches wins, over its class, over ``everywhere``.
    """
    value_chosen = types.get(kind, everywhere)
    for pattern, value in layers.items():
        if fnmatch.fnmatchcase(name, pattern):
            value_chosen = value
    return value_chosen


def check_scopes(
    scheme: str, layers: Iterable[Any], types: Mapping[str, Any], patterns: Mapping[str, Any]
) -> None:
    """Raise :class:`CompressionError` for a class or a pattern that matches no layer of a model."""
    names = {layer.name: type(layer).__name__ for layer in layers}
    for kind in types:
        if kind not in names.values():
            known = sorted(set(names.values()))
            raise _unknown(scheme, "types", kind, known)
    for pattern in patterns:
        if not fnmatch.filter(names, pattern):
            raise _unknown(scheme, "layers", pattern, list(names))


def _unknown(scheme: str, table: str, name: str, known: list[str]) -> CompressionError:
    message = f"[compress] {scheme}.{table}: no layer matches {name!r}{did_you_mean(name, known)}"
    return CompressionError("EK-COMPRESS-010", message, f"the model has: {', '.join(known)}")
