"""What one target ships of the candidates, and what stands against each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from edgekit.converters.precision_checks import CASTS
from edgekit.converters.precisions import RECIPE, profile_of, refusal
from edgekit.gate import fixes
from edgekit.gate.checks import check_all, check_compiled
from edgekit.gate.machine import (
    BARE_METAL,
    another_machine,
    describe_target,
    judge_machine,
    own_device_key,
)
from edgekit.gate.rules import Basis, Rules, TargetContext
from edgekit.gate.statuses import counts, worst
from edgekit.project import TargetTable
from edgekit.targets import catalog
from edgekit.targets.catalog import Target
from edgekit.targets.runners import RUNNERS
from edgekit.types import (
    Bound,
    Candidate,
    CheckResult,
    Compiled,
    Conversion,
    Evaluation,
    Measurement,
    OnDevice,
    RuntimeResult,
    Status,
    TargetResult,
)

RUNS_ON = "runs on"
MACHINE = "machine"
LOCAL = "local"
# Where nothing passes, a target reports on the candidate that is nearest to passing.
NEAREST = (
    Status.PASSED,
    Status.NOT_EVALUATED,
    Status.INCONCLUSIVE,
    Status.UNAVAILABLE,
    Status.FAILED,
    # A budget can be raised; what cannot run there never ships.
    Status.INCOMPATIBLE,
)


def judge_target(
    name: str,
    table: TargetTable,
    candidates: Sequence[Candidate],
    reference: Evaluation,
    rules: Rules,
    compiled: Sequence[Compiled],
    on_device: Sequence[OnDevice],
    tried: bool,
) -> TargetResult:
    everywhere = TargetContext(
        name,
        _why_no_latency(name, table),
        _why_no_arena(name),
        _why_no_memory(name, table),
        compiled={file.candidate: file for file in compiled},
    )
    target = catalog.load(name)
    made_for_it = tuple(c for c in candidates if _made_for(c, target.conversion))
    own = own_device(name, table)
    by_candidate = {each.candidate: each for each in on_device if each.device == own}
    judged: list[tuple[Status, int, Candidate, tuple[CheckResult, ...]]] = []
    for candidate in (c for c in candidates if may_ship(name, table, c)):
        measured = by_candidate.get(candidate.id)
        place = _on_its_device(everywhere, measured, target, table) if measured else everywhere
        basis = Basis(reference, table.budgets, rules, place, made_for_it)
        checks = (
            *_before_it_runs(basis, candidate, target, compiled, tried),
            *_runtime_checks(candidate, name),
            *_device_checks(candidate, own, measured, target, table),
        )
        checks = rules.waivers.apply(checks)
        status = worst(check.status for check in checks if counts(check))
        if status is Status.PASSED and not candidate.evaluation.metrics:
            status = Status.NOT_EVALUATED
        judged.append((status, candidate.bytes, candidate, checks))
    if not judged:
        check = _no_candidate(name, table, tried)
        result = TargetResult(name, None, "no candidate", check.status, (check,))
        return replace(result, compiled=tuple(compiled), on_device=tuple(on_device))
    status, _, candidate, checks = min(judged, key=_nearness)
    ships = candidate.id if status is Status.PASSED or _is_only_untried(checks) else None
    fit = _fit(candidate, target, table, by_candidate.get(candidate.id)) if tried else "not tried"
    return TargetResult(
        name, ships, fit, status, checks, compiled=tuple(compiled), on_device=tuple(on_device)
    )


def _before_it_runs(
    basis: Basis,
    candidate: Candidate,
    target: Target,
    compiled: Sequence[Compiled],
    tried: bool,
) -> Iterable[CheckResult]:
    """Yield what the target's tables, the budgets and its compiler say of a candidate."""
    if not tried:
        yield from _untried(candidate.id, target.id)
    yield from _refusals(candidate, target.conversion, target.id)
    yield from _too_large(candidate, target)
    yield from check_all(basis, candidate)
    for file in compiled:
        if file.candidate == candidate.id:
            yield from file.checks
            yield from check_compiled(basis, file)
    if tried:
        yield from _uncompiled(candidate, target, compiled)


def rejudged(result: TargetResult, checks: tuple[CheckResult, ...]) -> TargetResult:
    """Return a target by checks of which some that failed do not any more."""
    if checks == result.checks:
        return result
    status = worst(check.status for check in checks if counts(check))
    ships = result.candidate
    if status is Status.PASSED or _is_only_untried(checks):
        ships = next((check.candidate for check in checks if check.candidate), ships)
    return replace(result, checks=checks, status=status, candidate=ships)


def may_ship(target: str, table: TargetTable, candidate: Candidate) -> bool:
    """Tell whether a candidate is one of those that a target may ship, before it is judged."""
    has_precision = table.precision in (None, candidate.precision, _stands_for(candidate))
    return has_precision and _made_for(candidate, catalog.load(target).conversion)


def own_device(target: str, table: TargetTable) -> str:
    """Return the device that a target's latency is measured on, beside the host's own; empty for
    none.

    A device of this host is the target's own only where this host is the target.
    """
    name = table.device or LOCAL
    here = name == LOCAL or name.startswith(f"{LOCAL}:") or name in RUNNERS
    return "" if name == LOCAL or (here and target != catalog.host()) else name


def _untried(candidate: str, target: str) -> Iterable[CheckResult]:
    message = (
        f"unavailable, because the run did not include {target}: nothing was compiled, run or"
        f" packed for it; `edgekit convert` with [targets.{target}] or --target {target} does that"
    )
    fix = f"`edgekit convert` with [targets.{target}] or --target {target}"
    yield CheckResult("tried", candidate, target, Status.UNAVAILABLE, message, fix=fix)


def _no_candidate(name: str, table: TargetTable, tried: bool) -> CheckResult:
    precision = f"of precision {table.precision} " if table.precision else ""
    if not tried:
        return replace(next(iter(_untried("", name))), name="candidate")
    message = f"no candidate {precision}was made for {name}: add it to [convert] precisions"
    fix = f"add {table.precision or 'one that it takes'} to [convert] precisions"
    return CheckResult("candidate", "", name, Status.FAILED, message, fix=fix)


def _uncompiled(
    candidate: Candidate, target: Target, compiled: Sequence[Compiled]
) -> Iterable[CheckResult]:
    """Yield an unavailable check where nothing compiled the candidate for the target's NPU."""
    known = any(result.candidate == candidate.id for result in compiled)
    if target.npu is None or known or candidate.problem:
        return
    name = f"compiles for {target.npu.accelerator}"
    message = "unavailable, because the run did not compile it"
    fix = f"`edgekit convert --target {target.id}` compiles it"
    yield CheckResult(name, candidate.id, target.id, Status.UNAVAILABLE, message, fix=fix)


def _on_its_device(
    place: TargetContext, measured: OnDevice, target: Target, table: TargetTable
) -> TargetContext:
    reason = ""
    if measured.estimates:
        reason = f"the times of {measured.device} are estimates: {measured.estimates}"
    elif measured.latency is None:
        reason = measured.message or "it was not timed"
        if measured.status is Status.UNAVAILABLE:
            key = own_device_key(target, measured.device)
            reason = f"{reason}; the device is the one of {key}"
    elif not table.any_device:
        reason = another_machine(target, measured.device, measured.facts)
    return replace(place, latency=measured.latency, no_latency=reason)


def _device_checks(
    candidate: Candidate, device: str, measured: OnDevice | None, target: Target, table: TargetTable
) -> Iterable[CheckResult]:
    """Tell whether the target's device runs the candidate, and whether that device is the
    target.
    """
    if measured is None:
        if device and candidate.evaluation.metrics and not candidate.problem:
            message = f"unavailable, because nothing was run on {device}"
            name = f"{RUNS_ON} {device}"
            fix = f"see whether it can be reached: `edgekit devices list {device}`"
            yield CheckResult(name, candidate.id, target.id, Status.UNAVAILABLE, message, fix=fix)
        return
    name = f"{RUNS_ON} {measured.device} ({measured.runtime} {measured.version})".replace(
        " ( )", ""
    )
    message = measured.message
    if measured.status is Status.UNAVAILABLE:
        message = f"unavailable, because {message}"
    fix = fixes.DEVICES if measured.status is Status.UNAVAILABLE else fixes.FIT
    fix = fixes.unless_passed(measured.status, fix)
    yield CheckResult(name, measured.candidate, target.id, measured.status, message, fix=fix)
    if measured.status is not Status.UNAVAILABLE:
        status, reason = judge_machine(target, measured, table.any_device)
        way = f"name the target's own, {own_device_key(target, '')}, or take these figures all the"
        fix = fixes.unless_passed(status, f"{way} same: any_device = true there")
        shown = describe_target(target)
        yield CheckResult(MACHINE, measured.candidate, target.id, status, reason, shown, fix=fix)


def _stands_for(candidate: Candidate) -> str | None:
    """Return the precision that a recovered candidate may be shipped for."""
    return candidate.recovery.stands_for if candidate.recovery else None


def _made_for(candidate: Candidate, conversion: Conversion) -> bool:
    """Tell whether a candidate is the one of its precision that the target's profile asks for.

    One that is as it is is the only one there is: whether it runs there is tried.
    """
    if candidate.as_is or candidate.recovery is not None:
        return True
    made = candidate.id.partition("@")[2]
    return made == profile_of(candidate.precision, conversion)


def _refusals(candidate: Candidate, conversion: Conversion, target: str) -> Iterable[CheckResult]:
    reason = refusal(candidate.precision, conversion)
    floats = [
        operator
        for operator in candidate.float_operators
        if operator.partition(" ")[0] not in CASTS
    ]
    # Of a file that was given the precision says less than its operators.
    if reason and not (candidate.as_is and candidate.precision == RECIPE and not floats):
        fix = f"make another precision for {target}: [convert] precisions"
        yield CheckResult("precision", candidate.id, target, Status.INCOMPATIBLE, reason, fix=fix)


def _too_large(candidate: Candidate, target: Target) -> Iterable[CheckResult]:
    """Yield what a target has too little of for a candidate: flash for the file, RAM for the arena.

    The arena is this host's, which is larger than a device's by a few pointers.
    """
    memory, measured = target.memory, candidate.evaluation.memory
    arena = measured.arena.value if measured and target.system == BARE_METAL else None
    for name, what, size, limit in (
        ("flash", "the file", candidate.bytes, memory.most_flash),
        ("RAM", "the smallest arena on this host", arena, memory.most_ram),
    ):
        if size is not None and limit is not None and size > limit and not candidate.problem:
            message = f"{what} takes {size:,.0f} of the {limit:,} B {name} that a model may take"
            yield CheckResult(
                name,
                candidate.id,
                target.id,
                Status.INCOMPATIBLE,
                message,
                measured=Measurement(float(size), "byte", tool=what),
                bound=Bound(limit, "byte"),
                fix=fixes.SMALLER if name == "flash" else fixes.ARENA,
            )


def _nearness(judged: tuple[Status, int, Candidate, tuple[CheckResult, ...]]) -> tuple[int, ...]:
    """Order candidates: passing first, then the fewest checks that do not pass, then the
    smallest file.
    """
    status, size, _, checks = judged
    short = sum(check.status is not Status.PASSED for check in checks if counts(check))
    return NEAREST.index(status), short, size


def _is_only_untried(checks: tuple[CheckResult, ...]) -> bool:
    """Tell whether all that stands against a candidate is that no runtime of the target is here."""
    against = [c for c in checks if counts(c) and c.status is not Status.PASSED]
    return bool(against) and all(
        (c.name.startswith(RUNS_ON) or c.name == MACHINE) and c.status is Status.UNAVAILABLE
        for c in against
    )


def _runtime_results(candidate: Candidate, target: Target) -> list[RuntimeResult]:
    """Return the candidate's result on each runtime that the target names, in the run's order."""
    versions = {runtime.name: runtime.version for runtime in target.runtimes}
    known = [r for r in candidate.evaluation.runtimes if r.runtime in versions]
    if not candidate.evaluation.metrics:
        return known
    seen = {result.runtime for result in known}
    return [
        *known,
        *(
            RuntimeResult(name, version, Status.UNAVAILABLE, "the run did not try it")
            for name, version in versions.items()
            if name not in seen
        ),
    ]


def _runtime_checks(candidate: Candidate, name: str) -> Iterable[CheckResult]:
    """Yield a check per runtime; an absent one counts where no other of the target is here."""
    if candidate.problem:
        return
    tried = _runtime_results(candidate, catalog.load(name))
    nothing = all(result.status is Status.UNAVAILABLE for result in tried)
    for result in tried:
        stated = nothing or result.status is not Status.UNAVAILABLE
        title = f"{RUNS_ON} {result.runtime} {result.version}".rstrip()
        message = result.message
        if result.status is Status.UNAVAILABLE:
            message = f"unavailable, because {message}"
        fix = fixes.DEVICES if result.status is Status.UNAVAILABLE else fixes.FIT
        fix = fixes.unless_passed(result.status, fix)
        yield CheckResult(title, candidate.id, name, result.status, message, "", stated, fix=fix)


def _fit(candidate: Candidate, target: Target, table: TargetTable, there: OnDevice | None) -> str:
    tried = _runtime_results(candidate, target)
    parts = []
    for result in tried:
        verb = {Status.PASSED: "runs on", Status.UNAVAILABLE: "not tried on"}
        phrase = verb.get(result.status, "does not run on")
        parts.append(f"{phrase} {result.runtime} {result.version}".rstrip())
    if there is not None and there.status is Status.PASSED:
        another = another_machine(target, there.device, there.facts)
        taken = ", which any_device lets count" if table.any_device else ""
        mark = f", another machine{taken}" if another else ""
        parts.append(f"runs on {there.device} ({there.runtime} {there.version}){mark}")
        return "; ".join(parts)
    executed = any(result.status is not Status.UNAVAILABLE for result in tried)
    if executed and target.id != catalog.host():
        uncompiled = " uncompiled" if target.npu else ""
        parts.append(f"tried{uncompiled} on this host, not on the device")
    return "; ".join(parts) or "not executed"


def _why_no_arena(name: str) -> str:
    target = catalog.load(name)
    if all(runtime.name != "tflm" for runtime in target.runtimes):
        return f"{name} has no TFLM, which alone has an arena"
    if target.npu is not None:
        return f"the shipped file is compiled for {target.npu.accelerator}, and only that runs it"
    return ""


def _why_no_latency(name: str, table: TargetTable) -> str:
    if device := own_device(name, table):
        return f"nothing was measured on {device}"
    if name != catalog.host():
        key = own_device_key(catalog.load(name), "")
        return f"this host is not {name}: name its own device, {key} of the project file"
    return ""


def _why_no_memory(name: str, table: TargetTable) -> str:
    if device := own_device(name, table):
        return f"a run measures the peak memory of a process on this host only, not on {device}"
    if name != catalog.host():
        return f"this host is not {name}, and what a process takes here is not evidence for it"
    return ""
