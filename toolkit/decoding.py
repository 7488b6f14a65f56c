"""Read JSON documents back into the dataclasses that they were written from."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


def decode(document: object, kind: type[T]) -> T:
    """Return what a parsed document holds: an object of a dataclass, and of those within it.

    Unknown keys are left out. Raises ValueError that says where the document is wrong.
    """
    import msgspec

    return msgspec.convert(document, kind, dec_hook=_path)


def _path(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise ValueError(f"{str(value)[:50]!r} is not a {kind.__name__}")
