"""From checks to what ships, and to the exit code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from edgekit.converters.precisions import profile_of, refusal
from edgekit.errors import ExitCode
from edgekit.gate.checks import Place, Rules, check_all, check_compiled
from edgekit.project import Budgets, TargetTable
from edgekit.targets import catalog
from edgekit.targets.runners import RUNNERS
from edgekit.types import (
    Candidate,
    CheckResult,
    Compiled,
    Conversion,
    Evaluation,
    OnDevice,
    Status,
    TargetResult,
    Verdict,
)

EXIT_CODES: Mapping[Status, ExitCode] = {
    Status.FAILED: ExitCode.FAILED,
    Status.INCOMPATIBLE: ExitCode.INCOMPATIBLE,
    Status.UNAVAILABLE: ExitCode.UNAVAILABLE,
    Status.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
    Status.PASSED: ExitCode.PASSED,
    Status.NOT_EVALUATED: ExitCode.PASSED,
}
RUNS_ON = "runs on"
LOCAL = "local"
# When several apply, the first of these is the outcome.
PRECEDENCE = tuple(EXIT_CODES)
# Where nothing passes, a target reports on the candidate that is nearest to passing.
NEAREST = (
    Status.PASSED, Status.NOT_EVALUATED, Status.INCONCLUSIVE, Status.UNAVAILABLE,
    Status.INCOMPATIBLE, Status.FAILED,
)  # fmt: skip


def worst(statuses: Iterable[Status]) -> Status:
    """The status that decides among several."""
    found = set(statuses)
    return next((s for s in PRECEDENCE if s in found), Status.PASSED)


def decide(
    candidates: Sequence[Candidate], reference: Evaluation, targets: Mapping[str, TargetTable],
    rules: Rules, asked: bool, compiled: Mapping[str, Sequence[Compiled]] | None = None,
    on_device: Mapping[str, Sequence[OnDevice]] | None = None,
) -> tuple[tuple[Candidate, ...], tuple[TargetResult, ...], Verdict]:  # fmt: skip
    """Judge every candidate and target.

    ``asked`` says that precisions were asked for by name and no target was: then the budgets of
    the command line concern each of them. ``compiled`` says by target what its compiler makes of
    each, ``on_device`` what each does on its device. Returns the candidates with their status, the
    targets with what they ship, and the verdict.
    """
    judged = decide_candidates(candidates, reference, rules)
    results = tuple(
        _decide_target(
            name,
            table,
            candidates,
            reference,
            rules,
            (compiled or {}).get(name, ()),
            (on_device or {}).get(name, ()),
        )
        for name, table in targets.items()
    )
    with_status = tuple(
        replace(candidate, status=worst(check.status for check in checks if _counts(check)))
        if checks
        else candidate
        for candidate, checks in zip(candidates, judged, strict=True)
    )
    if asked:
        # What was recovered is judged by the candidate that stands in for it.
        replaced = {
            c.recovery.stands_for for c in candidates if c.recovery and c.recovery.succeeded
        }
        counted = tuple(
            check for checks in judged for check in checks if check.candidate not in replaced
        )
    else:
        counted = tuple(check for result in results for check in result.checks)
    statuses = [c.status for c in counted if _counts(c)]
    if not asked:
        statuses += [result.status for result in results]
    evaluated = any(c.evaluation.metrics for c in candidates)
    status = worst(statuses)
    if status is Status.PASSED and not evaluated:
        status = Status.NOT_EVALUATED
    return with_status, results, Verdict(status, int(EXIT_CODES[status]), counted)


def decide_candidates(
    candidates: Sequence[Candidate], reference: Evaluation, rules: Rules
) -> list[tuple[CheckResult, ...]]:
    """The checks of every candidate by itself, for no target."""
    return [
        tuple(check_all(candidate, reference, Budgets(), rules, Place()))
        for candidate in candidates
    ]


def _counts(check: CheckResult) -> bool:
    """Whether a check bears on the outcome: one nobody stated does only when it is red."""
    return check.stated or check.status in (Status.FAILED, Status.INCOMPATIBLE, Status.PASSED)


def _decide_target(
    name: str, table: TargetTable, candidates: Sequence[Candidate], reference: Evaluation,
    rules: Rules, compiled: Sequence[Compiled], on_device: Sequence[OnDevice],
) -> TargetResult:  # fmt: skip
    everywhere = Place(name, _why_no_latency(name, table), _why_no_arena(name))
    conversion = catalog.load(name).conversion
    wanted = [c for c in candidates if may_ship(name, table, c)]
    judged: list[tuple[Status, int, Candidate, tuple[CheckResult, ...]]] = []
    for candidate in wanted:
        there = next((one for one in on_device if one.candidate == candidate.id), None)
        place = _on_its_device(everywhere, there) if there else everywhere
        checks = tuple(_refusals(candidate, conversion, name))
        checks += tuple(check_all(candidate, reference, table.budgets, rules, place))
        for one in compiled:
            if one.candidate == candidate.id:
                checks += (*one.checks, *check_compiled(one, table.budgets, rules, place))
        checks += tuple(_runtime_checks(candidate, name))
        checks += tuple(_device_checks(there, name))
        status = worst(check.status for check in checks if _counts(check))
        if status is Status.PASSED and not candidate.evaluation.metrics:
            status = Status.NOT_EVALUATED
        judged.append((status, candidate.bytes, candidate, checks))
    if not judged:
        message = f"no candidate of precision {table.precision}: add it to [convert] precisions"
        check = CheckResult("candidate", "", name, Status.FAILED, message)
        return TargetResult(
            name,
            None,
            "no candidate",
            Status.FAILED,
            (check,),
            compiled=tuple(compiled),
            on_device=tuple(on_device),
        )
    status, _, candidate, checks = min(judged, key=_nearness)
    ships = candidate.id if status is Status.PASSED or _is_only_untried(checks) else None
    there = next((one for one in on_device if one.candidate == candidate.id), None)
    fit = _fit(candidate, name, there)
    return TargetResult(
        name, ships, fit, status, checks, compiled=tuple(compiled), on_device=tuple(on_device)
    )


def may_ship(target: str, table: TargetTable, candidate: Candidate) -> bool:
    """Whether a candidate is one of those that a target may ship, before it is judged."""
    wanted = table.precision in (None, candidate.precision, _stands_for(candidate))
    return wanted and _made_for(candidate, catalog.load(target).conversion)


def own_device(target: str, table: TargetTable) -> str:
    """The device that a target's latency is measured on, beside the host's own; empty for none.

    A device of this host is the target's own only where this host is the target.
    """
    name = table.device or LOCAL
    here = name == LOCAL or name.startswith(f"{LOCAL}:") or name in RUNNERS
    return "" if name == LOCAL or (here and target != catalog.host()) else name


def _on_its_device(place: Place, found: OnDevice) -> Place:
    reason = ""
    if found.emulated:
        reason = f"{found.device} is emulated ({found.emulated}): its times are no device's"
    elif found.latency is None:
        reason = found.message
    return replace(place, latency=found.latency, no_latency=reason)


def _device_checks(found: OnDevice | None, target: str) -> Iterable[CheckResult]:
    if found is not None:
        name = f"{RUNS_ON} {found.device} ({found.runtime} {found.version})".replace(" ( )", "")
        message = found.message
        if found.status is Status.UNAVAILABLE:
            message = f"unavailable, because {message}"
        yield CheckResult(name, found.candidate, target, found.status, message)


def _stands_for(candidate: Candidate) -> str | None:
    """The precision that a recovered candidate may be shipped for."""
    return candidate.recovery.stands_for if candidate.recovery else None


def _made_for(candidate: Candidate, conversion: Conversion) -> bool:
    """Whether a candidate is the one of its precision that the target's profile asks for."""
    made = candidate.id.partition("@")[2]
    return candidate.recovery is not None or made == profile_of(candidate.precision, conversion)


def _refusals(candidate: Candidate, conversion: Conversion, target: str) -> Iterable[CheckResult]:
    reason = refusal(candidate.precision, conversion)
    if reason:
        yield CheckResult("precision", candidate.id, target, Status.INCOMPATIBLE, reason)


def _nearness(judged: tuple[Status, int, Candidate, tuple[CheckResult, ...]]) -> tuple[int, ...]:
    """Passing first, then the fewest checks that do not pass, then the smallest file."""
    status, size, _, checks = judged
    short = sum(check.status is not Status.PASSED for check in checks if _counts(check))
    return NEAREST.index(status), short, size


def _is_only_untried(checks: tuple[CheckResult, ...]) -> bool:
    """Whether all that stands against a candidate is that no runtime of the target is here."""
    against = [c for c in checks if _counts(c) and c.status is not Status.PASSED]
    return bool(against) and all(
        c.name.startswith(RUNS_ON) and c.status is Status.UNAVAILABLE for c in against
    )


def _runtime_checks(candidate: Candidate, target: str) -> Iterable[CheckResult]:
    """One check a runtime; one that is not here counts where no other of the target is either."""
    named = {runtime.name for runtime in catalog.load(target).runtimes}
    tried = [r for r in candidate.evaluation.runtimes if r.runtime in named]
    nothing = all(result.status is Status.UNAVAILABLE for result in tried)
    for result in candidate.evaluation.runtimes:
        if result.runtime in named:
            stated = nothing or result.status is not Status.UNAVAILABLE
            name = f"{RUNS_ON} {result.runtime} {result.version}".rstrip()
            message = result.message
            if result.status is Status.UNAVAILABLE:
                message = f"unavailable, because {message}"
            yield CheckResult(name, candidate.id, target, result.status, message, stated=stated)


def _fit(candidate: Candidate, target: str, there: OnDevice | None) -> str:
    named = {runtime.name for runtime in catalog.load(target).runtimes}
    tried = [r for r in candidate.evaluation.runtimes if r.runtime in named]
    parts = []
    for result in tried:
        verb = {Status.PASSED: "runs on", Status.UNAVAILABLE: "not tried on"}
        phrase = verb.get(result.status, "does not run on")
        parts.append(f"{phrase} {result.runtime} {result.version}".rstrip())
    if there is not None and there.status is Status.PASSED:
        parts.append(f"runs on {there.device} ({there.runtime} {there.version})")
        return "; ".join(parts)
    executed = any(result.status is not Status.UNAVAILABLE for result in tried)
    if executed and target != catalog.host():
        uncompiled = " uncompiled" if catalog.load(target).npu else ""
        parts.append(f"tried{uncompiled} on this host, not on the device")
    return "; ".join(parts) or "not executed"


def _why_no_arena(name: str) -> str:
    target = catalog.load(name)
    if all(runtime.name != "tflm" for runtime in target.runtimes):
        return f"{name} has no TFLM, which alone has an arena"
    if target.npu is not None:
        return f"what ships is compiled for {target.npu.accelerator}, and only that runs it"
    return ""


def _why_no_latency(name: str, table: TargetTable) -> str:
    if device := own_device(name, table):
        return f"nothing was measured on {device}"
    if name != catalog.host():
        return f"this host is not {name}: a target's latency is measured on its own device"
    return ""
