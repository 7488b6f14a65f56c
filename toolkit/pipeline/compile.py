"""The compiling stage: what targets with an NPU or TFLM take of each candidate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter

from edgekit.converters import flatbuffer
from edgekit.converters.micro import edge_tpu, resolver, vela
from edgekit.errors import ConversionError, DeviceError
from edgekit.pipeline.answers import file_of
from edgekit.pipeline.run import Run
from edgekit.pipeline.ship import put
from edgekit.store import place as place_file
from edgekit.targets import catalog
from edgekit.targets.catalog import Npu, Target
from edgekit.types import (
    Candidate,
    CheckResult,
    Compiled,
    Json,
    Measurement,
    NpuEstimate,
    Status,
    TargetResult,
)

ESTIMATE = TypeAdapter(NpuEstimate)
TFLM = "tflm"


@dataclass(frozen=True)
class Compilation:
    """By target what its compiler makes of each candidate, and its estimates by both ids."""

    results: Mapping[str, tuple[Compiled, ...]]
    estimates: Mapping[tuple[str, str], NpuEstimate]


def compile_candidates(run: Run, candidates: tuple[Candidate, ...]) -> Compilation:
    """Compile every candidate for every target that has an NPU, and look its operators up in TFLM.

    A candidate that cannot be compiled is not an error but a check that is red.
    """
    targets = [target for target in map(catalog.load, run.plan.targets) if is_compiled(target)]
    results: dict[str, tuple[Compiled, ...]] = {}
    estimates: dict[tuple[str, str], NpuEstimate] = {}
    if not targets:
        return Compilation(results, estimates)
    usable = [c for c in candidates if c.path is not None and not c.problem]
    with run.stage("compile"):
        for number, target in enumerate(targets):
            run.progress.update(number, len(targets), target.id)
            made = []
            for candidate in usable:
                checks: list[CheckResult] = []
                estimate = _estimate(run, target, candidate, checks)
                if estimate is not None:
                    estimates[target.id, candidate.id] = estimate
                checks += _operators(target, candidate, estimate)
                count = estimate.bytes if estimate else None
                share = estimate.macs_on_npu if estimate else None
                made.append(Compiled(candidate.id, tuple(checks), count, share))
            results[target.id] = tuple(made)
    return Compilation(results, estimates)


def attach(run: Run, target: TargetResult, compilation: Compilation) -> TargetResult:
    """Add the NPU estimates to a target, and put the compiled file under ``build/``."""
    estimate = compilation.estimates.get((target.id, target.candidate or ""))
    if estimate is None or target.candidate is None:
        return target
    below = Path(target.candidate) / f"{target.id}.tflite"
    path = run.plan.output / "build" / run.plan.name / below
    put(run, estimate.path, path)
    place_file(estimate.path, run.folder / "build" / below)
    return replace(target, npu=replace(estimate, path=path))


def is_compiled(target: Target) -> bool:
    """Tell whether a target has a compiler or a table of operators of its own."""
    return target.npu is not None or _has_tflm(target)


def _has_tflm(target: Target) -> bool:
    return any(runtime.name == TFLM for runtime in target.runtimes)


def _estimate(
    run: Run, target: Target, candidate: Candidate, checks: list[CheckResult]
) -> NpuEstimate | None:
    """Compile a candidate for the target's NPU; the check of it goes to ``checks``."""
    if target.npu is None or candidate.path is None:
        return None
    name = f"compiles for {target.npu.accelerator}"

    def check(
        status: Status, message: str, share: Measurement | None = None, fix: str = ""
    ) -> None:
        result = CheckResult(name, candidate.id, target.id, status, message)
        checks.append(replace(result, measured=share, fix=fix))

    try:
        estimate = _compiled(run, target.npu, candidate)
    except ConversionError as error:
        run.note(False)
        message = f"{error.code} {error.message}\n  {error.hint}".rstrip()
        check(Status.INCOMPATIBLE, message, fix=error.hint)
        return None
    except DeviceError as error:
        run.note(False)
        message = f"unavailable, because {error.message}: {error.hint}"
        check(Status.UNAVAILABLE, message, fix=error.hint)
        return None
    share = estimate.operators_on_npu
    message = f"{share.value or 0.0:.0%} of its operators run on the NPU"
    check(Status.PASSED, message, share)
    return estimate


def _compiled(run: Run, npu: Npu, candidate: Candidate) -> NpuEstimate:
    path = file_of(candidate)
    compiler = edge_tpu if npu.compiler == edge_tpu.COMMAND else vela
    key = run.key(candidate=candidate.sha256, npu=asdict(npu), compiler=compiler.version())

    def make(folder: Path) -> Mapping[str, Json]:
        estimate = compile_for(npu, path, folder)
        facts: Json = ESTIMATE.dump_python(estimate, mode="json")
        return {**facts, "path": estimate.path.name}

    artefact = run.obtain("compile", key, make)
    estimate = ESTIMATE.validate_python(dict(artefact.facts))
    return replace(estimate, path=artefact.path / estimate.path)


def compile_for(npu: Npu, path: Path, folder: Path) -> NpuEstimate:
    """Compile a file into a folder, with the compiler of an NPU.

    Raises :class:`ConversionError` where it refuses the file, :class:`DeviceError` where it is not
    installed.
    """
    if npu.compiler == edge_tpu.COMMAND:
        return edge_tpu.compile_model(path, folder)
    return vela.compile_model(path, npu.accelerator, folder, npu.system_config, npu.memory_mode)


def _operators(
    target: Target, candidate: Candidate, compiled: NpuEstimate | None
) -> Iterator[CheckResult]:
    """Check that TFLM has the operators that the NPU leaves; nothing where it did not compile."""
    path = compiled.path if compiled else candidate.path
    if not _has_tflm(target) or path is None or (target.npu is not None and compiled is None):
        return
    status, message, fix = Status.PASSED, "TFLM has all its operators", ""
    try:
        resolver.check(flatbuffer.read(path))
    except ConversionError as error:
        status, message = Status.INCOMPATIBLE, f"{error.code} {error.message}\n  {error.hint}"
        fix = error.hint
    yield CheckResult("operators", candidate.id, target.id, status, message, fix=fix)
