"""``report.json``: a report as JSON, and back. Its shape is ``report.schema.json`` beside this."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgekit import nearby, strict_json
from edgekit.converters.precisions import PRECISIONS
from edgekit.decoding import decode
from edgekit.errors import ProjectError
from edgekit.report import validation
from edgekit.report.migrations import SCHEMA_VERSION, migrated
from edgekit.types import (
    Candidate,
    Evaluation,
    Json,
    Measurement,
    Report,
    RuntimeNeed,
)

SCHEMA = validation.SCHEMA
NO_FILE = "there is no file"
# More than a report of a thousand candidates has.
LARGEST = 64 << 20


def to_json(report: Report) -> dict[str, Json]:
    """Return the report as ``report.json`` holds it."""
    reference = plain(report.reference)
    # A place in the store, which notes speak of in words; and names for this run alone.
    for key in ("twin", "signature", "rewritten", "own_inputs", "own_outputs"):
        del reference[key]
    reference.update(plain(report.reference_evaluation))
    return {
        "schema_version": SCHEMA_VERSION,
        "run": report.run,
        "tool": {"name": "edgekit", "version": report.environment["edgekit"]},
        "model": plain(report.model),
        "environment": plain(report.environment),
        "settings": plain(report.settings),
        "stages": plain(report.stages),
        "reference": reference,
        "compression": plain(report.compression),
        "candidates": [_candidate(candidate) for candidate in report.candidates],
        "targets": plain(report.targets),
        "verdict": plain(report.verdict),
        "advice": plain(report.advice),
    }


def read(path: Path) -> Report:
    """Read a report. Raises :class:`ProjectError` where the file is not one of edgekit's."""
    if path.is_dir():
        path = path / "report.json"
    if not path.is_file():
        hint = "name a finished run of `edgekit convert`, or leave it out for the newest"
        raise ProjectError("EK-REPORT-001", f"there is no report {path}", nearby.hint(path, hint))
    try:
        return from_json(validation.parse(strict_json.bounded(path, LARGEST)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        hint = f"it is damaged or not an edgekit report: {error}"
        raise ProjectError("EK-REPORT-002", f"{path} cannot be read", hint) from error


def name_of(path: Path) -> str | None:
    """Return the name of the model that a report, or a run's folder, is of; None where it does
    not say it.
    """
    name = _part(path, "model").get("name")
    return name if isinstance(name, str) else None


def is_dry(path: Path) -> bool:
    """Tell whether a report is of a dry run, which measures nothing."""
    return bool(_part(path, "settings").get("dry_run"))


def _part(path: Path, name: str) -> Mapping[str, Any]:
    """Read one of a report's tables, and no others; empty where it cannot be read."""
    import msgspec

    try:
        file = path / "report.json" if path.is_dir() else path
        parts = msgspec.json.decode(strict_json.bounded(file, LARGEST), type=dict[str, msgspec.Raw])
        return dict(msgspec.json.decode(parts[name], type=dict[str, Any]))
    # Whoever reads it says what is wrong with it.
    except (OSError, ValueError, KeyError, RecursionError):
        return {}


def from_json(document: Mapping[str, Any]) -> Report:
    """Return the report that a document holds. Raises KeyError, TypeError or ValueError."""
    document = migrated(document)
    reference = document["reference"]
    report = {
        **document,
        "reference_evaluation": evaluation_from(reference),
        "candidates": [
            {
                **candidate,
                "evaluation": evaluation_from(candidate),
                "minimum_runtime": _read_runtime_need(candidate["minimum_runtime"]),
            }
            for candidate in document["candidates"]
        ],
        "targets": [
            {**target, "on_device": [_with_latency(row) for row in target.get("on_device", ())]}
            for target in document["targets"]
        ],
    }
    decoded = decode(report, Report)
    for candidate in decoded.candidates:
        if candidate.precision not in PRECISIONS:
            raise ValueError(f"candidates: there is no precision {candidate.precision!r}")
    return decoded


def plain(value: Any) -> Any:
    """Convert dataclasses, enums and paths to JSON types."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Path):
        return value.as_posix()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def _candidate(candidate: Candidate) -> dict[str, Json]:
    document = plain(candidate)
    document.update(document.pop("evaluation"))
    document["minimum_runtime"] = _runtime_need(candidate.minimum_runtime)
    return dict(document)


def _runtime_need(need: RuntimeNeed | None) -> dict[str, Json]:
    """Return the minimum runtime as JSON: estimated, as it is computed and not executed."""
    if need is None:
        need = RuntimeNeed("", "", "", "", NO_FILE)
    how = "estimated" if need.release or need.litert else "unavailable"
    return {
        "value": need.release or None,
        "how": how,
        "litert": need.litert or None,
        "forced_by": need.forced_by,
        "claimed": need.claimed,
        "reason": need.reason,
    }


def _read_runtime_need(document: Mapping[str, Any]) -> RuntimeNeed | None:
    if document["reason"] == NO_FILE:
        return None
    return RuntimeNeed(
        document["value"] or "",
        document["litert"] or "",
        document["forced_by"],
        document["claimed"],
        document["reason"],
    )


def evaluation_from(document: Mapping[str, Any]) -> Evaluation:
    """Return the evaluation part of a candidate or of the reference."""
    return decode(_with_latency(document), Evaluation)


def _with_latency(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a document whose latency has every figure; earlier releases had fewer."""
    if not document["latency"]:
        return document
    unknown = Measurement.unavailable("ns", "the report is of an earlier edgekit")
    absent = dict.fromkeys(("p99", "max", "mad", "std", "p5", "power"), unknown)
    latency = {**absent, "launches": (), "stopped": "", **document["latency"]}
    return {**document, "latency": latency}
