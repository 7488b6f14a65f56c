"""``report.json``: a report as JSON, and back. Its shape is ``report.schema.json`` beside this."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgekit.errors import ProjectError
from edgekit.report import validation
from edgekit.types import (
    Advice,
    Bundle,
    Candidate,
    CarriedState,
    CheckResult,
    Compiled,
    Compression,
    Evaluation,
    Json,
    Latency,
    Measurement,
    Memory,
    NpuEstimate,
    OnDevice,
    Operator,
    PairedCounts,
    Part,
    Recovery,
    Report,
    RuntimeNeed,
    RuntimeResult,
    SavedModel,
    StageRecord,
    Status,
    TargetResult,
    TensorSpec,
    Verdict,
)

SCHEMA_VERSION = 1
SCHEMA = validation.SCHEMA
NO_FILE = "there is no file"


def to_json(report: Report) -> dict[str, Json]:
    """Return the report as ``report.json`` holds it."""
    reference = _plain(report.reference)
    # A place in the store, which notes speak of in words; and names for this run alone.
    for key in ("twin", "signature", "rewritten", "own_inputs", "own_outputs"):
        del reference[key]
    reference.update(_evaluation(report.reference_evaluation))
    return {
        "schema_version": SCHEMA_VERSION,
        "run": report.run,
        "tool": {"name": "edgekit", "version": report.environment["edgekit"]},
        "model": _plain(report.model),
        "environment": _plain(report.environment),
        "settings": _plain(report.settings),
        "stages": _plain(report.stages),
        "reference": reference,
        "compression": _plain(report.compression),
        "candidates": [_candidate(candidate) for candidate in report.candidates],
        "targets": _plain(report.targets),
        "verdict": _plain(report.verdict),
        "advice": _plain(report.advice),
    }


def read(path: Path) -> Report:
    """Read a report. Raises :class:`ProjectError` where the file is not one of edgekit's."""
    if path.is_dir():
        path = path / "report.json"
    if not path.is_file():
        hint = "name a finished run of `edgekit convert`, or leave it out for the newest"
        raise ProjectError("EK-REPORT-001", f"there is no report {path}", hint)
    try:
        return from_json(validation.parse(path.read_bytes(), SCHEMA_VERSION))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        hint = f"it is damaged or not an edgekit report: {error}"
        raise ProjectError("EK-REPORT-002", f"{path} cannot be read", hint) from error


def from_json(document: Mapping[str, Any]) -> Report:
    """Return the report that a document holds. Raises KeyError, TypeError or ValueError."""
    if document["schema_version"] != SCHEMA_VERSION:
        raise ValueError(f"schema_version {document['schema_version']} is not known")
    return Report(
        run=document["run"],
        model=document["model"],
        environment=document["environment"],
        settings=document["settings"],
        stages=tuple(StageRecord(**s) for s in document["stages"]),
        reference=_read_reference(document["reference"]),
        reference_evaluation=evaluation_from(document["reference"]),
        compression=_read_compression(document["compression"]),
        candidates=tuple(_read_candidate(c) for c in document["candidates"]),
        targets=tuple(_read_target(t) for t in document["targets"]),
        verdict=Verdict(
            Status(document["verdict"]["status"]),
            document["verdict"]["exit_code"],
            tuple(_read_check(c) for c in document["verdict"]["checks"]),
        ),
        advice=tuple(Advice(**a) for a in document["advice"]),
    )


def _plain(value: Any) -> Any:
    """Convert dataclasses, enums and paths to JSON types."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Path):
        return value.as_posix()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _evaluation(evaluation: Evaluation) -> dict[str, Json]:
    return {f.name: _plain(getattr(evaluation, f.name)) for f in dataclasses.fields(evaluation)}


def _candidate(candidate: Candidate) -> dict[str, Json]:
    document = _plain(candidate)
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


def _measurement(document: Mapping[str, Any] | None) -> Measurement | None:
    return Measurement(**document) if document else None


def _measurements(document: Mapping[str, Any]) -> dict[str, Measurement]:
    return {name: Measurement(**entry) for name, entry in document.items()}


def evaluation_from(document: Mapping[str, Any]) -> Evaluation:
    """Return the evaluation part of a candidate or of the reference."""
    latency, memory = document["latency"], document["memory"]
    return Evaluation(
        metrics=_measurements(document["metrics"]),
        drop=_measurements(document["drop"]),
        floor=dict(document.get("floor", {})),
        paired={name: PairedCounts(**p) for name, p in document["paired"].items()},
        parity={name: _measurements(p) for name, p in document["parity"].items()},
        latency=_read_latency(latency),
        latency_ratio=_measurement(document["latency_ratio"]),
        uncompressed_ratio=_measurement(document["uncompressed_ratio"]),
        memory=Memory(**_measurements(memory)) if memory else None,
        runtimes=tuple(
            RuntimeResult(**{**r, "status": Status(r["status"])}) for r in document["runtimes"]
        ),
        parts=tuple(
            Part(**{**one, "figures": _measurements(one["figures"])})
            for one in document.get("parts", ())
        ),
    )


def _specs(rows: list[Mapping[str, Any]]) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(r["name"], tuple(r["shape"]), r["dtype"]) for r in rows)


def _read_reference(document: Mapping[str, Any]) -> SavedModel:
    return SavedModel(
        path=Path(document["path"]),
        digest=document["digest"],
        bytes=document["bytes"],
        inputs=_specs(document["inputs"]),
        outputs=_specs(document["outputs"]),
        batched=document["batched"],
        parameters=document["parameters"],
        runtime=document.get("runtime", "tensorflow"),
        stateful=document.get("stateful", False),
        last=document.get("last", {}),
        policies=tuple(document.get("policies", ())),
        named=document.get("named", ""),
        states=tuple(
            CarriedState(_specs([one["input"]])[0], _specs([one["output"]])[0], one["why"])
            for one in document.get("states", ())
        ),
    )


def _read_compression(document: Mapping[str, Any] | None) -> Compression | None:
    from pydantic import TypeAdapter

    return TypeAdapter(Compression).validate_python(document) if document else None


def _read_latency(document: Mapping[str, Any] | None) -> Latency | None:
    from pydantic import TypeAdapter

    return TypeAdapter(Latency).validate_python(_whole(document)) if document else None


def _whole(latency: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a latency of an earlier release, which told fewer figures."""
    unknown = Measurement.unavailable("ns", "the report is of an earlier edgekit")
    absent = dict.fromkeys(("p99", "max", "mad", "std", "p5", "power"), unknown)
    return {**absent, "launches": (), "stopped": "", **latency}


def _read_npu(document: Mapping[str, Any] | None) -> NpuEstimate | None:
    from pydantic import TypeAdapter

    return TypeAdapter(NpuEstimate).validate_python(document) if document else None


def _read_on_device(document: list[Any]) -> tuple[OnDevice, ...]:
    from pydantic import TypeAdapter

    rows = [{**row, "latency": row["latency"] and _whole(row["latency"])} for row in document]
    return TypeAdapter(tuple[OnDevice, ...]).validate_python(rows)


def _read_candidate(document: Mapping[str, Any]) -> Candidate:
    return Candidate(
        id=document["id"],
        precision=document["precision"],
        path=Path(document["path"]) if document["path"] else None,
        sha256=document["sha256"],
        bytes=document["bytes"],
        compressed_bytes=document["compressed_bytes"],
        zstd_bytes=document["zstd_bytes"],
        operators=tuple(Operator(**o) for o in document["operators"]),
        float_operators=tuple(document["float_operators"]),
        minimum_runtime=_read_runtime_need(document["minimum_runtime"]),
        problem=document["problem"],
        problem_status=Status(document["problem_status"]),
        status=Status(document["status"]),
        failed=tuple(document.get("failed", ())),
        evaluation=evaluation_from(document),
        recovery=_read_recovery(document["recovery"]),
        as_is=document.get("as_is", False),
        signature=document.get("signature"),
    )


def _read_recovery(document: Mapping[str, Any] | None) -> Recovery | None:
    from pydantic import TypeAdapter

    return TypeAdapter(Recovery).validate_python(document) if document else None


def _read_check(document: Mapping[str, Any]) -> CheckResult:
    return CheckResult(**{**document, "status": Status(document["status"])})


def _read_target(document: Mapping[str, Any]) -> TargetResult:
    bundle = document["bundle"]
    return TargetResult(
        id=document["id"],
        candidate=document["candidate"],
        fit=document["fit"],
        status=Status(document["status"]),
        checks=tuple(_read_check(c) for c in document["checks"]),
        bundle=Bundle(Path(bundle["path"]), bundle["sha256"], bundle["bytes"]) if bundle else None,
        npu=_read_npu(document.get("npu")),
        compiled=tuple(
            Compiled(c["candidate"], tuple(_read_check(k) for k in c["checks"]), c["bytes"])
            for c in document.get("compiled", ())
        ),
        on_device=_read_on_device(document.get("on_device", [])),
    )
