"""Errors of devices as data, to be raised again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from edgekit.errors import EdgekitError, RunnerError
from edgekit.types import Json


def fault(error: EdgekitError) -> dict[str, Json]:
    """Return an error as JSON can carry it."""
    document = {
        "kind": type(error).__name__,
        "code": error.code,
        "message": error.message,
        "hint": error.hint,
    }
    return {**document, "item": error.item} if isinstance(error, RunnerError) else document


def raised(document: Mapping[str, Json]) -> EdgekitError:
    """Return the error of :func:`fault`."""
    kind = kinds()[str(document["kind"])]
    if issubclass(kind, RunnerError):
        return kind(document["code"], document["message"], document["hint"], document.get("item"))
    return kind(document["code"], document["message"], document["hint"])


def kinds() -> Mapping[str, type[EdgekitError]]:
    """Return every error by its name."""
    return {one.__name__: one for one in _kinds(EdgekitError)}


def _kinds(kind: type[EdgekitError]) -> Iterator[type[EdgekitError]]:
    yield kind
    for one in kind.__subclasses__():
        yield from _kinds(one)
