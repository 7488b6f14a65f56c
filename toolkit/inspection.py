"""A ``.tflite`` file explained, without TensorFlow: what it holds, and which targets it fits."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgekit.converters import flatbuffer, runtime_version
from edgekit.converters.inspection import Inspection, explain
from edgekit.converters.inspection.structure import COMPILED
from edgekit.converters.inspection.summary import jsonable
from edgekit.converters.micro import resolver
from edgekit.errors import ConversionError
from edgekit.models import tflite
from edgekit.targets import catalog
from edgekit.types import Json

# Free shapes, Flex, and strings: TFLM has none of them.
NOT_BARE = frozenset({"EK-INSPECT-005", "EK-INSPECT-006", "EK-INSPECT-010"})
Verdict = Literal["fits", "fits in part", "does not fit", "not known"]


@dataclass(frozen=True)
class RuntimeFit:
    """Whether a runtime of a target runs a file, by its operators: yes, no, or unknown (None)."""

    runtime: str
    version: str
    fits: bool | None
    reason: str
    fix: str


@dataclass(frozen=True)
class TargetFit:
    """Whether a target of the catalog runs a file, on each runtime that it may meet."""

    target: str
    title: str
    verdict: Verdict
    runtimes: tuple[RuntimeFit, ...]


def inspect(path: str | Path) -> Inspection:
    """Explain a ``.tflite`` file. Raises :class:`ModelError` where it is none, or damaged."""
    path = Path(path)
    content = tflite.content(path)
    return explain(path, flatbuffer.parse(content, str(path)), hashlib.sha256(content).hexdigest())


def fits(found: Inspection) -> tuple[TargetFit, ...]:
    """Every target of the catalog, and whether it runs the file.

    By operator versions: what was executed is proven, and this is not. A file with errors is not
    known to run anywhere.
    """
    return tuple(_target(found, catalog.load(name)) for name in catalog.names())


def _target(found: Inspection, target: catalog.Target) -> TargetFit:
    refusal = _bare_refusal(found, target)
    rows = tuple(
        RuntimeFit(one.name, one.version, False, *refusal)
        if refusal
        else _runtime(found, one, target)
        for one in target.runtimes
    )
    answers = {row.fits for row in rows}
    verdict: Verdict = "fits in part"
    if answers == {True}:
        verdict = "fits"
    elif answers == {False}:
        verdict = "does not fit"
    elif True not in answers:
        verdict = "not known"
    return TargetFit(target.id, target.title, verdict, rows)


def _bare_refusal(found: Inspection, target: catalog.Target) -> tuple[str, str] | None:
    """Why an accelerator, or a microcontroller, cannot take the file; and the fix."""
    if target.npu is not None and not any(n.precision.kind == "integer" for n in found.layers):
        reason = f"{target.npu.accelerator} computes in integers only, and no operator here does"
        return reason, "convert with --precision int8"
    if target.system == "bare metal":
        one = next((one for one in found.findings if one.code in NOT_BARE), None)
        if one is not None:
            return f"microcontrollers do not take this: {one.message}", one.fix
    return None


def _runtime(found: Inspection, runtime: catalog.Runtime, target: catalog.Target) -> RuntimeFit:
    fit = runtime_version.fits(found.runtime, runtime.name, runtime.version)
    compiled = [name for name in found.runtime.custom if name in COMPILED]
    if compiled:
        what, why, fix = COMPILED[compiled[0]]
        return RuntimeFit(runtime.name, runtime.version, None, f"it holds {what}: {why}", fix)
    if runtime.name == "tflm" and target.npu is None:
        try:
            resolver.check(found.file)
        except ConversionError as error:
            return RuntimeFit(runtime.name, runtime.version, False, error.message, error.hint)
    errors = [one.code for one in found.findings if one.severity == "error"]
    if fit.fits and errors:
        reason = f"the file has errors: {', '.join(errors)}"
        return RuntimeFit(runtime.name, runtime.version, None, reason, "mend the file first")
    return RuntimeFit(runtime.name, runtime.version, fit.fits, fit.reason, fit.fix)


def fits_json(rows: tuple[TargetFit, ...]) -> Json:
    """The targets as JSON types."""
    return jsonable(rows)
