"""The settings, versions and machine of a run that differ from another's."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from edgekit.types import Report

LONGEST = 160
ABSENT = "–"


@dataclass(frozen=True)
class SettingChange:
    """A setting by its path, such as ``settings.seeds.training``, as it was and as it is."""

    name: str
    before: str
    now: str


def setting_changes(before: Report, now: Report) -> tuple[SettingChange, ...]:
    """Return what was asked or found otherwise than in the earlier run, in the report's order."""
    old, new = dict(flat(_facts(before))), dict(flat(_facts(now)))
    return tuple(
        SettingChange(name, old.get(name, ABSENT), new.get(name, ABSENT))
        for name in dict.fromkeys((*old, *new))
        if old.get(name) != new.get(name)
    )


def _facts(report: Report) -> Mapping[str, Any]:
    return {
        "model": report.model,
        "reference": {
            "digest": report.reference.digest,
            "parameters": report.reference.parameters,
        },
        "settings": {**report.settings, **_timeless(report)},
        "environment": report.environment,
    }


def _timeless(report: Report) -> Mapping[str, Any]:
    """Return the facts of a training without its time, which is not a setting."""
    facts = report.settings.get("training")
    return {"training": {k: v for k, v in facts.items() if k != "seconds"}} if facts else {}


def flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the leaves of a document by their paths."""
    if isinstance(value, Mapping) and value:
        for name, one in value.items():
            yield from flat(one, f"{path}.{name}" if path else str(name))
        return
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    yield path, text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
