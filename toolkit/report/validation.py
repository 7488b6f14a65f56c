"""Validate an untrusted report against the shipped schema before it is used."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edgekit import strict_json
from edgekit.report.migrations import migrated

SCHEMA = Path(__file__).resolve().with_name("report.schema.json")


def parse(content: bytes) -> Mapping[str, Any]:
    """Parse and validate a report document, brought to what this release writes.

    Raises ValueError that says where it is wrong.
    """
    document = strict_json.loads(content)
    if not isinstance(document, dict):
        raise ValueError("it is not a JSON object")
    document = migrated(document)
    if not _is_valid(document):
        raise ValueError(_explained(document))
    for place, interval in _intervals(document, ""):
        if interval["low"] > interval["high"]:
            raise ValueError(f"{place}: low {interval['low']} lies above high {interval['high']}")
    return document


def _is_valid(document: Any) -> bool:
    return bool(_validator().is_valid(document))


@functools.cache
def _validator() -> Any:
    from jsonschema_rs import Draft202012Validator

    return Draft202012Validator(_schema())


@functools.cache
def _schema() -> Any:
    return json.loads(SCHEMA.read_text(encoding="utf-8"))


def _explained(document: Any) -> str:
    """Say what is wrong with a document, and where: jsonschema finds what matters, and slowly."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    error = best_match(Draft202012Validator(_schema()).iter_errors(document))
    if error is None:
        return "it does not have the shape of a report"
    return f"{_place(error.absolute_path)}: {error.message[:200]}"


def _intervals(value: Any, where: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every table with both ends of an interval, and where it is."""
    if isinstance(value, dict):
        ends = (value.get("low"), value.get("high"))
        if all(isinstance(end, (int, float)) for end in ends):
            yield where, value
        for key, item in value.items():
            yield from _intervals(item, f"{where}.{key}" if where else key)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _intervals(item, f"{where}[{number}]")


def _place(path: Any) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.lstrip(".")[:200] or "the report"
