"""The fit board's cells of one target: flash, memory, precision, NPU share, inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from edgekit.converters.inspection import Inspection
from edgekit.converters.micro import compiled, edge_tpu, resolver, vela
from edgekit.converters.micro.operations import nodes
from edgekit.converters.micro.vela import ETHOS_U
from edgekit.converters.precisions import PRECISIONS, precision_in, refusal
from edgekit.errors import ConversionError, NoTflmKernels
from edgekit.inspection.trial import FitTrial, FitTrials
from edgekit.targets.catalog import Target

How = Literal["measured", "estimated", "unavailable"]
State = Literal["fits", "fits in part", "does not fit", "not known", "does not apply"]
COLUMNS = ("operators", "runtime", "flash", "memory", "precision", "npu", "io")
BARE_METAL = "bare metal"
# The flash of a whole firmware, measured: edgekit's bundle of a small model, TFLM's reference
# kernels, -O1, for a Cortex-M3. What lies beside a model is less, and never nothing.
FIRMWARE = 82_000
FLOAT_ENDS = "int8-float-io"
IN_FLOAT = "the NPU computes in integers only, and no operator here does"
ONLY_COMPILER = "what the NPU takes, only its compiler says"
WITH_VELA = "edgekit targets fit compiles it, where edgekit[micro] is installed"
WITH_EDGE_TPU = "edgekit convert compiles it, where edgetpu_compiler is installed"
FIXED = "convert with every size fixed, and a batch of 1"
# Bytes of a value in int8, as a share of what they are.
TO_INT8 = {"FLOAT32": 0.25, "FLOAT16": 0.5, "FLOAT64": 0.125}


@dataclass(frozen=True)
class Cell:
    """One column of the fit board: whether it stands against a target, and how that is known.

    ``value`` is a few characters to show, ``fix`` the nearest thing that makes it fit, where one is
    known. What does not apply to a target says why, as what is unavailable does.
    """

    column: str
    verdict: State
    how: How
    value: str
    reason: str
    fix: str = ""


@dataclass(frozen=True)
class FileFacts:
    """What the cells ask of a file, found once for all targets.

    ``program`` is the accelerator it was compiled for; ``lacking`` what TFLM has not, and why, with
    the fix, and whether that is about its precision. ``as_int8`` are its bytes in int8, about;
    ``in_float`` says that no operator computes in integers.
    """

    program: str | None
    precision: str
    lacking: tuple[str, str, bool] | None
    as_int8: float
    free: str
    edge_tpu: tuple[str, str] | None
    in_float: bool

    @classmethod
    def of(cls, inspection: Inspection) -> FileFacts:
        saved = sum(row.bytes * (1 - TO_INT8.get(row.dtype, 1.0)) for row in inspection.weights)
        ends = (*inspection.file.inputs, *inspection.file.outputs)
        kinds = {layer.precision.kind for layer in inspection.layers}
        free = [t.name for t in ends if -1 in (*t.shape, *t.signature_shape)]
        return cls(
            program=compiled.compiled_for(inspection.file),
            precision=precision_in(inspection.file),
            lacking=_lacking(inspection),
            as_int8=inspection.bytes - saved,
            free=free[0] if free else "",
            edge_tpu=edge_tpu.refusal(inspection.file),
            in_float=bool(kinds & {"float", "dynamic"}) and "integer" not in kinds,
        )


def _lacking(inspection: Inspection) -> tuple[str, str, bool] | None:
    try:
        resolver.check(inspection.file)
    except ConversionError as error:
        return error.message, error.hint, isinstance(error, NoTflmKernels)
    return None


def cells(
    inspection: Inspection, facts: FileFacts, target: Target, trials: FitTrials
) -> tuple[Cell, ...]:
    """Return the cells that do not depend on the target's runtimes."""
    return (
        _flash(inspection, facts, target, trials),
        _memory(inspection, facts, target, trials),
        _precision(facts, target),
        _npu(inspection, facts, target, trials),
        _io(inspection, facts, target),
    )


def _flash(inspection: Inspection, facts: FileFacts, target: Target, trials: FitTrials) -> Cell:
    limit = target.memory.most_flash
    if limit is None:
        return _without("flash", "the catalog states no limit for the file")
    tried = _compiled(target, trials)
    size = tried.bytes if tried and tried.bytes else inspection.bytes
    what = "the compiled file" if tried and tried.bytes else "the file"
    cell = _share("flash", what, size, limit, "flash", "measured")
    if cell.verdict == "does not fit":
        return replace(cell, fix=_smaller(inspection.bytes, facts.as_int8, limit))
    if target.system == BARE_METAL and size + FIRMWARE > limit:
        reason = (
            f"{cell.reason}, and a firmware with TFLM needs up to {FIRMWARE // 1000} kB beside it"
        )
        return replace(cell, verdict="not known", how="unavailable", reason=reason)
    return cell


def _memory(inspection: Inspection, facts: FileFacts, target: Target, trials: FitTrials) -> Cell:
    limit = target.memory.most_ram
    if limit is None:
        return _without("memory", "the catalog states no memory of a model's")
    tried = _compiled(target, trials)
    arena = trials.runtimes.get("tflm", FitTrial("unavailable", "")).arena
    if tried is not None and tried.sram is not None:
        return _share("memory", "SRAM, as the compiler estimates,", tried.sram, limit, "RAM")
    if target.system == BARE_METAL and arena is not None:
        what = "the smallest arena on this host, where pointers are longer,"
        return _shrunk(_share("memory", what, arena, limit, "RAM"), arena, limit, facts)
    peaks = [entry.memory.peak for entry in inspection.entries]
    unknown = next((peak.reason for peak in peaks if peak.value is None), None)
    if unknown is not None or not peaks:
        reason = f"what lives at once is not known: {unknown or 'it has no entry point'}"
        return Cell("memory", "not known", "unavailable", "?", reason, FIXED)
    peak = max(peak.value or 0.0 for peak in peaks)
    held = 0 if target.system == BARE_METAL else inspection.bytes
    what = "activations, at least," if not held else "activations and weights, at least,"
    return _shrunk(_share("memory", what, peak + held, limit, "RAM"), peak + held, limit, facts)


def _shrunk(cell: Cell, size: float, limit: int, facts: FileFacts) -> Cell:
    if cell.verdict != "does not fit":
        return cell
    quarter = size / 4 if facts.precision in ("float32", "float16", "dynamic") else size
    return replace(cell, fix=_smaller(size, quarter, limit))


def _smaller(size: float, as_int8: float, limit: int) -> str:
    """Name the nearest way to a smaller file or arena, with what it leaves, about."""
    arrow = f"int8: {_binary(size)} -> about {_binary(as_int8)}"
    if as_int8 < 0.9 * size and as_int8 <= limit:
        return arrow
    share = min(as_int8, size) / limit
    fewer = f"edgekit compress --channels: {share:.1f} times too large"
    return f"{arrow}; and {fewer}" if as_int8 < 0.9 * size else fewer


def _share(
    column: str, what: str, size: float, limit: int, place: str, how: How = "estimated"
) -> Cell:
    verdict: State = "fits" if size <= limit else "does not fit"
    reason = f"{what} takes {_binary(size)} of {_binary(limit)} {place}"
    return Cell(column, verdict, how, percent(size / limit), reason)


def _precision(facts: FileFacts, target: Target) -> Cell:
    name = facts.precision
    cell = Cell("precision", "fits", "measured", name, f"it is {name}")
    if all(runtime.loads != "tflite" for runtime in target.runtimes):
        return _without("precision", "it takes no .tflite file")
    if facts.program is not None:
        return _without("precision", "it is compiled for an NPU")
    fix = _conversion(name, target)
    reason = refusal(name, target.conversion)
    runtimes = {runtime.name for runtime in target.runtimes}
    wide = target.npu is not None and target.npu.accelerator == edge_tpu.ACCELERATOR
    if not reason and target.npu is not None and facts.in_float:
        reason = IN_FLOAT
    elif not reason and runtimes == {"tflm"} and facts.lacking and facts.lacking[2]:
        reason, fix = facts.lacking[:2]
    elif not reason and wide and PRECISIONS[name].activations == "INT16":
        reason = "the Edge TPU takes 8-bit tensors, and it computes in int16"
    if reason:
        return replace(cell, verdict="does not fit", reason=reason, fix=fix)
    if target.precisions and name not in target.precisions:
        return replace(cell, reason=f"it is {name}; {target.precisions[0]} runs best there")
    return cell


def _conversion(precision: str, target: Target) -> str:
    """Name the nearest precision that a target takes, instead of one that it does not."""
    named = (*_alike(precision), *target.precisions)
    taken = [p for p in named if p != precision and not refusal(p, target.conversion)]
    if not taken:
        return ""
    ends = ": float in and out" if taken[0] == FLOAT_ENDS else ""
    return f"convert with --precision {taken[0]}{ends}"


def _alike(precision: str) -> Iterator[str]:
    """Yield what is as good as an integer precision: other edges, and int8 instead of int16."""
    row = PRECISIONS[precision]
    if row.integer:
        yield from (name for name, one in PRECISIONS.items() if one.activations == row.activations)
    if row.activations == "INT16":
        yield from (FLOAT_ENDS, "int8")


def _npu(inspection: Inspection, facts: FileFacts, target: Target, trials: FitTrials) -> Cell:
    npu = target.npu
    if npu is None:
        return _without("npu", "it has none")
    if facts.program is not None:
        return _programmed(inspection, facts.program, npu.accelerator)
    if facts.in_float:
        fix = "convert with --precision int8"
        return Cell("npu", "does not fit", "estimated", "0 %", IN_FLOAT, fix)
    if npu.accelerator == edge_tpu.ACCELERATOR and facts.edge_tpu:
        return Cell("npu", "does not fit", "estimated", "0 %", *facts.edge_tpu)
    tried = trials.accelerators.get(npu.accelerator)
    if tried is None or tried.outcome == "unavailable":
        reason = tried.reason if tried and tried.reason else ONLY_COMPILER
        fix = WITH_VELA if npu.compiler == vela.PACKAGE else WITH_EDGE_TPU
        return Cell("npu", "not known", "unavailable", "?", reason, fix)
    if tried.outcome == "refused":
        return Cell("npu", "does not fit", "estimated", "0 %", tried.reason, tried.fix)
    return Cell("npu", "fits", "estimated", percent(tried.share or 0.0), tried.reason)


def _programmed(inspection: Inspection, program: str, accelerator: str) -> Cell:
    """Return the cell of a compiled file: its program counts, and what is left beside it."""
    if program == ETHOS_U and accelerator.startswith(ETHOS_U):
        reason = "its program does not say for which NPU"
        return Cell("npu", "not known", "unavailable", "?", reason, "compile it again")
    if program != accelerator:
        fix = "compile the uncompiled file for its own NPU"
        reason = f"it was compiled for {program}"
        return Cell("npu", "does not fit", "measured", "no", reason, fix)
    names = [node.operator for _, node in nodes(inspection.file)]
    left = sum(name not in (ETHOS_U, edge_tpu.EDGE_TPU) for name in names)
    beside = f", with {left} operators beside it on the CPU" if left else ""
    return Cell("npu", "fits", "measured", "yes", f"it was compiled for {program}{beside}")


def _io(inspection: Inspection, facts: FileFacts, target: Target) -> Cell:
    edges = [edge for entry in inspection.entries for edge in (*entry.inputs, *entry.outputs)]
    dtypes = list(dict.fromkeys(edge.dtype.lower() for edge in edges))
    cell = Cell("io", "fits", "measured", dtypes[0] if dtypes else "none", ", ".join(dtypes))
    if all(runtime.loads != "tflite" for runtime in target.runtimes):
        return _without("io", "it takes no .tflite file")
    wrong = [e for e in edges if target.io and e.dtype.lower() not in target.io]
    if wrong:
        kind = wrong[0].dtype.lower()
        reason = f"it takes {', '.join(target.io)}, and {wrong[0].name!r} is {kind}"
        fix = _conversion(facts.precision, target) if kind in ("int8", "uint8", "int16") else ""
        return replace(cell, verdict="does not fit", value=kind, reason=reason, fix=fix)
    if facts.free and not target.free_sizes:
        reason = f"it takes fixed sizes only, and {facts.free!r} has a free one"
        return replace(cell, verdict="does not fit", value="free", reason=reason, fix=FIXED)
    return cell


def _compiled(target: Target, trials: FitTrials) -> FitTrial | None:
    """Return the trial of a target's compiler, where it compiled the file."""
    tried = trials.accelerators.get(target.npu.accelerator) if target.npu else None
    return tried if tried is not None and tried.outcome == "ran" else None


def _without(column: str, reason: str) -> Cell:
    return Cell(column, "does not apply", "unavailable", "", reason)


def percent(share: float) -> str:
    """Format a share: nothing rounds to 0 % that is more, and nothing to 100 % that is not."""
    if 0 < share < 0.01:
        return "<1 %"
    text = f"{100 * share:.0f} %"
    if share > 1 and text == "100 %":
        return ">100 %"
    return "99 %" if share < 1 and text == "100 %" else text


def _binary(count: float) -> str:
    for limit, unit in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if count >= limit:
            return f"{count / limit:.3g} {unit}"
    return f"{count:,.0f} B"
