"""Which targets a ``.tflite`` file fits: by tables, and by trials on this machine."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from edgekit.converters import runtime_version
from edgekit.converters.custom_operators import unsupported_operators
from edgekit.converters.inspection import Inspection
from edgekit.converters.inspection.structure import COMPILED
from edgekit.converters.inspection.summary import jsonable
from edgekit.converters.micro import edge_tpu, resolver
from edgekit.converters.micro.vela import ETHOS_U
from edgekit.errors import ConversionError
from edgekit.inspection.cells import (
    BARE_METAL,
    IN_FLOAT,
    ONLY_COMPILER,
    WITH_VELA,
    Cell,
    FileFacts,
    How,
    State,
    cells,
)
from edgekit.inspection.trial import FREE, NOTHING, FitTrial, FitTrials
from edgekit.targets import catalog
from edgekit.types import Json

# Flex, and strings: TFLM has neither. Free sizes it takes as they are stated, which is as 1.
NOT_BARE = frozenset({"EK-INSPECT-006", "EK-INSPECT-010"})
FREE_SIZES = "EK-INSPECT-005"
# Quantization that LiteRT and tflite-runtime check as they open a file, and TFLM does not.
MISPLACED = "EK-INSPECT-029"
# What a runtime loads that takes no .tflite file, in words.
LOADED = {"saved-model": "SavedModel"}
PACKED = "give edgekit convert the model that the file was made of"
Verdict = Literal["fits", "fits in part", "does not fit", "not known"]
ORDER: tuple[How, ...] = ("measured", "estimated", "unavailable")


@dataclass(frozen=True)
class RuntimeFit:
    """Whether a runtime of a target runs a file: yes, no, or unknown (None).

    It is *measured* where it was tried in that version on such a machine, *estimated* where it was
    tried on another machine, compiled, or judged by tables, and *unavailable* where neither tells.
    """

    runtime: str
    version: str
    fits: bool | None
    reason: str
    fix: str
    how: How = "estimated"


@dataclass(frozen=True)
class TargetFit:
    """Whether a target of the catalog runs a file, on each runtime that it may meet.

    ``how`` is that of the runtime of which least is known. ``cells`` are the columns of the fit
    board: one that stands against the target decides, whatever its runtimes do.
    """

    target: str
    title: str
    verdict: Verdict
    runtimes: tuple[RuntimeFit, ...]
    how: How = "estimated"
    cells: tuple[Cell, ...] = ()


def fits(inspection: Inspection, trials: FitTrials = NOTHING) -> tuple[TargetFit, ...]:
    """Judge for every target of the catalog whether it runs the file.

    By operator versions and the like, and by the trials where there are any: what a runtime
    refused does not fit, whatever the tables say. A file with errors is not known to run anywhere.
    """
    facts = FileFacts.of(inspection)
    return tuple(_target(inspection, facts, target, trials) for target in catalog.every())


def _target(
    inspection: Inspection, facts: FileFacts, target: catalog.Target, trials: FitTrials
) -> TargetFit:
    if facts.program is not None:
        rows = tuple(_compiled(inspection, one, target, facts.program) for one in target.runtimes)
    elif target.npu is not None:
        rows = tuple(
            _for_npu(inspection, one, target, target.npu, trials) for one in target.runtimes
        )
    else:
        rows = tuple(_runtime(inspection, one, target, trials) for one in target.runtimes)
    how = max((row.how for row in rows), key=ORDER.index)
    runtime = _runtime_cell(rows, how)
    board = (
        _operators(inspection, facts, target),
        runtime,
        *cells(inspection, facts, target, trials),
    )
    return TargetFit(target.id, target.title, _verdict(board, target), rows, how, board)


def _runtime_cell(rows: Sequence[RuntimeFit], how: How) -> Cell:
    """Return whether the target's runtimes run the file, in the versions that they have."""
    answers = {row.fits for row in rows}
    verdict: Verdict = "fits in part"
    if answers == {True}:
        verdict = "fits"
    elif answers == {False}:
        verdict = "does not fit"
    elif True not in answers:
        verdict = "not known"
    count = sum(row.fits is True for row in rows)
    value = "?" if verdict == "not known" else f"{count} of {len(rows)}"
    against = [row for row in rows if not row.fits]
    told = against or list(rows)
    reason = "; ".join(dict.fromkeys(row.reason for row in told))
    fix = next((row.fix for row in against if row.fix), "")
    return Cell("runtime", verdict, how, value, reason, fix)


def _verdict(board: Sequence[Cell], target: catalog.Target) -> Verdict:
    """Return the verdict of a target: what stands against it, else what its runtimes do.

    What is not known of a microcontroller's memories leaves open whether it fits.
    """
    if any(cell.verdict == "does not fit" for cell in board):
        return "does not fit"
    runtime = next(cell.verdict for cell in board if cell.column == "runtime")
    small = target.system == BARE_METAL
    if runtime == "fits" and small and any(c.verdict == "not known" for c in board):
        return "not known"
    return runtime if runtime != "does not apply" else "not known"


def _operators(inspection: Inspection, facts: FileFacts, target: catalog.Target) -> Cell:
    """Return whether the target's runtimes have kernels for the file's operators, by the tables."""
    cell = Cell("operators", "fits", "estimated", "yes", "it has kernels for every operator")
    answers = [_kernels(inspection, facts, target, runtime) for runtime in target.runtimes]
    lacking = [one for one in answers if one is not None and one[0]]
    if any(one is None for one in answers):
        lost = next(r for r, one in zip(target.runtimes, answers, strict=True) if one is None)
        reason = runtime_version.fits(
            inspection.runtime, lost.name, lost.version, kernels=""
        ).reason
        return replace(cell, verdict="not known", how="unavailable", value="?", reason=reason)
    if len(lacking) < len(answers):
        partly: State = "fits in part" if lacking else "fits"
        reason, fix = lacking[0] if lacking else (cell.reason, "")
        return replace(cell, verdict=partly, reason=reason, fix=fix)
    reason, fix = lacking[0]
    return replace(cell, verdict="does not fit", value="no", reason=reason, fix=fix)


def _kernels(
    inspection: Inspection, facts: FileFacts, target: catalog.Target, runtime: catalog.Runtime
) -> tuple[str, str] | None:
    """Tell which operators a runtime has no kernels for, and the fix; empty for none, None where
    nothing tells."""
    if runtime.loads != "tflite":
        return _takes(runtime), PACKED
    if facts.program is not None:
        row = _compiled(inspection, runtime, target, facts.program)
        return (row.reason, row.fix) if row.fits is False else ("", "")
    if runtime.kernels == "tflm":
        codes = {one.code: one for one in inspection.findings}
        bare = next((codes[code] for code in sorted(NOT_BARE & codes.keys())), None)
        if bare is not None:
            return f"microcontrollers do not take this: {bare.message}", bare.fix
        if facts.lacking is not None and not facts.lacking[2]:
            return facts.lacking[:2]
        return "", ""
    if runtime.kernels not in runtime_version.AXES:
        return None
    minimum = inspection.runtime
    if minimum.flex:
        reason = f"{runtime.name} has no TensorFlow operators: {', '.join(minimum.flex)}"
        return reason, "convert without SELECT_TF_OPS, with builtin operators only"
    missing = unsupported_operators(minimum.custom, runtime.kernels)
    if missing:
        reason = f"{runtime.name} has no kernel for {', '.join(missing)}"
        return reason, f"register {', '.join(missing)} in the application, or convert without them"
    return "", ""


def _compiled(
    inspection: Inspection, runtime: catalog.Runtime, target: catalog.Target, program: str
) -> RuntimeFit:
    """Judge a compiled file: it fits what it was compiled for, and nothing else."""
    row = RuntimeFit(runtime.name, runtime.version, False, "", "")
    what, why, fix = COMPILED[edge_tpu.EDGE_TPU if program == edge_tpu.ACCELERATOR else ETHOS_U]
    if program == ETHOS_U and target.npu is not None and target.npu.accelerator.startswith(ETHOS_U):
        reason = f"it holds {what}, which does not say for which"
        return replace(row, fits=None, reason=reason, fix=fix, how="unavailable")
    if target.npu is None or target.npu.accelerator != program:
        named = what if program in (ETHOS_U, edge_tpu.ACCELERATOR) else f"{what} ({program})"
        return replace(row, reason=f"it holds {named}: {why}", fix=fix)
    try:
        if runtime.name == "tflm":
            resolver.check(inspection.file)
    except ConversionError as error:
        return replace(row, reason=error.message, fix=error.hint)
    rest = runtime_version.fits(
        replace(inspection.runtime, custom=()),
        runtime.name,
        runtime.version,
        kernels=runtime.kernels,
    )
    if rest.fits is False:
        return replace(row, reason=rest.reason, fix=rest.fix)
    return replace(row, fits=True, reason=f"it was compiled for {program}")


def _for_npu(
    inspection: Inspection,
    runtime: catalog.Runtime,
    target: catalog.Target,
    npu: catalog.Npu,
    trials: FitTrials,
) -> RuntimeFit:
    """Judge a file that is still to be compiled: by the compiler's trial, else by rules."""
    row = RuntimeFit(runtime.name, runtime.version, False, "", "")
    kinds = {layer.precision.kind for layer in inspection.layers}
    if kinds & {"float", "dynamic"} and "integer" not in kinds:
        return replace(row, reason=IN_FLOAT, fix="convert with --precision int8")
    if npu.accelerator == edge_tpu.ACCELERATOR:
        refusal = edge_tpu.refusal(inspection.file)
        if refusal:
            return replace(row, reason=refusal[0], fix=refusal[1])
        # What is not mapped runs in the runtime, as the whole file does before it is compiled.
        return _runtime(inspection, runtime, target, trials)
    if (
        trials.accelerators.get(npu.accelerator, FitTrial("unavailable", "")).outcome
        == "unavailable"
    ):
        told = trials.accelerators.get(npu.accelerator)
        reason = told.reason if told else ONLY_COMPILER
        return replace(row, fits=None, reason=reason, fix=WITH_VELA, how="unavailable")
    told = trials.accelerators[npu.accelerator]
    compiler = f"{npu.compiler} {told.version}"
    if told.outcome == "refused":
        reason = told.reason.replace(npu.accelerator, "the NPU")
        return replace(row, reason=reason, fix=told.fix)
    return replace(row, fits=True, reason=f"{compiler} compiles it: {told.reason}")


def _runtime(
    inspection: Inspection, runtime: catalog.Runtime, target: catalog.Target, trials: FitTrials
) -> RuntimeFit:
    row = _by_tables(inspection, runtime)
    tried = trials.runtimes.get(runtime.name)
    if tried is None or tried.outcome == "unavailable" or tried.version != runtime.version:
        return row
    here = (target.system, target.machine) == (platform.system(), platform.machine())
    row = replace(row, how="measured" if here else "estimated")
    name = f"{runtime.name} {runtime.version}"
    free = row.fits and any(one.code == FREE_SIZES for one in inspection.findings)
    if free and tried.outcome != "ran":
        reason = f"{name} does not take its free sizes as {FREE}: {tried.reason}"
        return replace(row, fits=None, reason=reason, fix="try it on real items: edgekit evaluate")
    if tried.outcome == "refused":
        reason = row.reason if row.fits is False else f"{name} refuses it: {tried.reason}"
        return replace(row, fits=False, reason=reason, fix=row.fix if row.fits is False else "")
    if tried.outcome == "loaded":
        reason = f"{name} loads it, and an inference on zeros ended: {tried.reason}"
        fix = "try it on real items: edgekit evaluate, or edgekit bench"
        return replace(row, fits=None, reason=reason, fix=fix)
    return _ran(inspection, row, name)


def _ran(inspection: Inspection, row: RuntimeFit, name: str) -> RuntimeFit:
    """Judge a file that a runtime ran once; its outputs may still be wrong."""
    if row.runtime == "tflm" and row.fits is False:
        return replace(row, reason=f"{name} runs it, but wrongly: {row.reason}")
    if row.fits is False:
        reason = f"{name} runs it, but its outputs are in doubt: {row.reason}"
        return replace(row, fits=None, reason=reason)
    errors = _errors(inspection)
    if errors:
        reason = f"{name} runs it, but the file has errors: {', '.join(errors)}"
        return replace(row, fits=None, reason=reason, fix="repair the file first")
    if row.runtime == "tflm" and any(one.code == FREE_SIZES for one in inspection.findings):
        return row
    return replace(row, fits=True, reason=f"{name} loaded it, and ran it once on zeros", fix="")


def _by_tables(inspection: Inspection, runtime: catalog.Runtime) -> RuntimeFit:
    row = RuntimeFit(runtime.name, runtime.version, False, "", "")
    codes = {one.code: one for one in inspection.findings}
    if runtime.loads != "tflite":
        return replace(row, reason=_takes(runtime), fix=PACKED)
    if runtime.name == "tflm":
        bare = next((codes[code] for code in sorted(NOT_BARE & codes.keys())), None)
        if bare is not None:
            reason = f"microcontrollers do not take this: {bare.message}"
            return replace(row, reason=reason, fix=bare.fix)
        try:
            resolver.check(inspection.file)
        except ConversionError as error:
            return replace(row, reason=error.message, fix=error.hint)
        if FREE_SIZES in codes:
            reason = f"TFLM takes free sizes as the file states them: {codes[FREE_SIZES].message}"
            return replace(row, fits=None, reason=reason, fix=codes[FREE_SIZES].fix)
        reason = f"{runtime.name} has no operator versions to compare: it has to be tried"
        return replace(row, fits=None, reason=reason, how="unavailable")
    if MISPLACED in codes:
        one = codes[MISPLACED]
        return replace(row, reason=f"{runtime.name} refuses it: {one.message}", fix=one.fix)
    fit = runtime_version.fits(
        inspection.runtime, runtime.name, runtime.version, kernels=runtime.kernels
    )
    errors = _errors(inspection)
    if fit.fits and errors:
        reason = f"the file has errors: {', '.join(errors)}"
        return replace(row, fits=None, reason=reason, fix="repair the file first")
    how: How = "estimated" if fit.fits is not None else "unavailable"
    return replace(row, fits=fit.fits, reason=fit.reason, fix=fit.fix, how=how)


def _takes(runtime: catalog.Runtime) -> str:
    return f"{runtime.name} takes a {LOADED[runtime.loads]}, not a .tflite file"


def _errors(inspection: Inspection) -> list[str]:
    return [one.code for one in inspection.findings if one.severity == "error"]


def fits_json(rows: tuple[TargetFit, ...]) -> Json:
    """Return the targets as JSON types."""
    return jsonable(rows)
