"""Read untrusted JSON: everything in it can be computed with and printed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

# Deeper than anything that edgekit writes, and far from where Python gives up.
DEEPEST = 64
LARGEST_INTEGER = 2**63
# Its square is still a number.
LARGEST_FLOAT = 1e150


def bounded(path: Path, most: int) -> bytes:
    """Read a file of another hand. Raises ValueError where it is larger than ``most`` bytes."""
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"it is larger than {most >> 20} MiB, which none of edgekit's is")
    return content


def loads(content: bytes) -> Any:
    """Return the document in ``content``.

    Raises ValueError where it is not JSON, holds NaN, an infinity or a number too large to compute
    with, half a surrogate pair, or is nested deeper than any of ours; it says where.
    """
    try:
        document = json.loads(content, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    _walk(document, "", 0)
    return document


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def _walk(value: Any, where: str, depth: int) -> None:
    if depth > DEEPEST:
        raise ValueError("it is nested too deeply")
    if isinstance(value, dict):
        for key, item in value.items():
            _text(key, where)
            _walk(item, f"{where}.{key}" if where else key, depth + 1)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            _walk(item, f"{where}[{number}]", depth + 1)
    elif isinstance(value, str):
        _text(value, where)
    elif isinstance(value, (int, float)) and not abs(value) < _largest(value):
        raise ValueError(f"{where[:200]} is a number too large")


def _largest(value: float) -> float:
    return LARGEST_INTEGER if isinstance(value, int) else LARGEST_FLOAT


def _text(text: str, where: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{where[:200]} is not valid text: {text[:60]!a}") from error
