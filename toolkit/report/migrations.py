"""Reports of earlier releases, brought step by step to what this one writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

SCHEMA_VERSION = 2

Document = Mapping[str, Any]


def migrated(document: Document) -> Document:
    """Return a report as this release writes it. Raises ValueError where it is of a newer one."""
    stated = document.get("schema_version")
    if type(stated) is not int or stated < 1:
        raise ValueError(f"schema_version {str(stated)[:20]} is not known")
    if stated > SCHEMA_VERSION:
        raise ValueError(
            f"schema_version {stated} is of a newer edgekit; this one reads up to {SCHEMA_VERSION}:"
            " install the edgekit that wrote it, or a later one"
        )
    for version in range(stated, SCHEMA_VERSION):
        document = {**STEPS[version](document), "schema_version": version + 1}
    tell_shares(document)
    return document


def tell_shares(part: Any) -> None:
    """Add to the bounds of checks, in place, how their share is told, where they do not say: until
    late in version 2 the words of the limit alone did.
    """
    if isinstance(part, list):
        for each in part:
            tell_shares(each)
    if not isinstance(part, dict):
        return
    bound, limit = part.get("bound"), part.get("limit")
    if isinstance(bound, dict) and isinstance(limit, str) and "share" not in bound:
        drop = "point" in limit or (limit.startswith("not worse than") and "%" in limit)
        bound["share"] = "points" if drop else "%" if "%" in limit else ""
    for each in part.values():
        tell_shares(each)


def _from_1(document: Document) -> Document:
    """Version 2 only adds: what a file computes, the items' digest, the machine, waivers."""
    return document


STEPS: Mapping[int, Callable[[Document], Document]] = {1: _from_1}
