"""Write the schemas of what is made of types: python tests/output_schemas.py toolkit/report."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from edgekit.report import bench, details, measurements
from edgekit.types import BenchReport, Compared, Evaluated
from edgekit.types.details import Details

# What each command prints and a run leaves beside its report, and its version.
OUTPUTS: dict[str, tuple[type, int]] = {
    "evaluate": (Evaluated, measurements.SCHEMA_VERSION),
    "compare": (Compared, measurements.SCHEMA_VERSION),
    "bench": (BenchReport, bench.SCHEMA_VERSION),
    "details": (Details, details.SCHEMA_VERSION),
}


def schema(command: str) -> dict[str, Any]:
    """The schema of a JSON, from the types that it is made of."""
    kind, version = OUTPUTS[command]
    made = TypeAdapter(kind).json_schema(mode="serialization")
    # What pages draw besides is a file of its own.
    if besides := {"evaluate": "drawn", "compare": "details"}.get(command):
        del made["properties"][besides]
        made["$defs"] = _used(made)
    for each in (made, *made.get("$defs", {}).values()):
        _close(each)
    made["properties"] = {"schema_version": {"const": version}, **made["properties"]}
    made["required"] = ["schema_version", *made["required"]]
    if command == "bench":
        # A row has its figures in the field names of the platform's own tools, too.
        row = made["$defs"]["Benched"]
        row["properties"]["platform"] = {"type": ["object", "null"]}
        row["required"].append("platform")
    title = f"What `edgekit {command} --json` prints"
    if command == "details":
        title = f"{details.FILE}: what a run leaves for pages and charts"
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title}
    return {**head, **{key: value for key, value in made.items() if key != "title"}}


def _used(made: dict[str, Any]) -> dict[str, Any]:
    """The definitions that a schema refers to, and those that these do."""
    found: dict[str, Any] = {}
    left = _named(made["properties"])
    while left:
        name = left.pop()
        if name not in found:
            found[name] = made["$defs"][name]
            left |= _named(found[name])
    return dict(sorted(found.items()))


def _named(part: Any) -> set[str]:
    return set(re.findall(r'"#/\$defs/(\w+)"', json.dumps(part)))


def _close(part: dict[str, Any]) -> None:
    """Require every field, and allow no other; drop what is said of Python."""
    part.pop("description", None)
    if part.get("type") != "object" or "properties" not in part:
        return
    part["required"] = list(part["properties"])
    part["additionalProperties"] = False
    for field in part["properties"].values():
        for key in ("default", "title"):
            field.pop(key, None)


if __name__ == "__main__":
    for name in OUTPUTS:
        path = Path(sys.argv[1]) / f"{name}.schema.json"
        path.write_text(json.dumps(schema(name), indent=2) + "\n", encoding="utf-8")
