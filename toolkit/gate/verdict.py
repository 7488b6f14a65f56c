"""From checks to what ships, and to the exit code."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from edgekit.converters.precision_checks import CASTS
from edgekit.converters.precisions import RECIPE, profile_of, refusal
from edgekit.errors import ExitCode
from edgekit.gate.checks import Place, Rules, check_all, check_compiled, check_file
from edgekit.gate.machine import another_machine, described, judge_machine, own_device_key
from edgekit.project import Budgets, TargetTable
from edgekit.targets import catalog
from edgekit.targets.catalog import Target
from edgekit.targets.runners import RUNNERS
from edgekit.types import (
    Candidate,
    CheckResult,
    Compiled,
    Conversion,
    Evaluation,
    OnDevice,
    RuntimeResult,
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
MACHINE = "machine"
RED = (Status.FAILED, Status.INCOMPATIBLE)
LOCAL = "local"
# Nothing of the model can be of the precision: the file would be the float32 one.
NO_SUCH_FORM = "EK-CONVERT-015"
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
    tried: Collection[str] | None = None,
) -> tuple[tuple[Candidate, ...], tuple[TargetResult, ...], Verdict]:  # fmt: skip
    """Judge every candidate and target.

    ``asked`` says that precisions were asked for by name and no target was: then the budgets of
    the command line concern each of them. ``compiled`` says by target what its compiler makes of
    each, ``on_device`` what each does on its device; ``tried`` are the targets that the run was
    about, by default all. Returns the candidates with their status, the targets with what they
    ship, and the verdict.
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
            tried is None or name in tried,
        )
        for name, table in targets.items()
    )
    with_status = tuple(
        _with_status(candidate, checks, _budget_checks(candidate, reference, targets, rules))
        for candidate, checks in zip(candidates, judged, strict=True)
    )
    if asked:
        # What was recovered is judged by the candidate that stands in for it.
        replaced = {
            c.recovery.stands_for for c in candidates if c.recovery and c.recovery.succeeded
        }
        replaced |= _spared(candidates)
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


def as_evidence(verdict: Verdict) -> Verdict:
    """The verdict of a gate on a run that evaluated nothing: that is unavailable, not passed."""
    if verdict.status is not Status.NOT_EVALUATED:
        return verdict
    message = "unavailable, because the run evaluated nothing"
    check = CheckResult("evaluation", "", "", Status.UNAVAILABLE, message)
    code = int(EXIT_CODES[Status.UNAVAILABLE])
    return Verdict(Status.UNAVAILABLE, code, (*verdict.checks, check))


def _spared(candidates: Sequence[Candidate]) -> set[str]:
    """Precisions that this model cannot have, where others were asked for beside them.

    Who asks for one alone means that one.
    """
    lacking = {c.id for c in candidates if c.problem.startswith(NO_SUCH_FORM)}
    return set() if len(lacking) == len(candidates) else lacking


def decide_candidates(
    candidates: Sequence[Candidate], reference: Evaluation, rules: Rules
) -> list[tuple[CheckResult, ...]]:
    """The checks of every candidate by itself, for no target."""
    return [
        tuple(check_all(candidate, reference, Budgets(), rules, Place()))
        for candidate in candidates
    ]


def _with_status(
    candidate: Candidate, checks: Sequence[CheckResult], by_target: Sequence[Sequence[CheckResult]]
) -> Candidate:
    """The candidate with the status of its checks, and the names of those that are red.

    Red by a target's budgets is only what no target that may ship it takes.
    """
    reds = [_red(one) for one in by_target]
    failed = dict.fromkeys(_red(checks))
    if reds and all(reds):
        failed |= dict.fromkeys(name for one in reds for name in one)
    if not checks and not failed:
        return candidate
    status = worst(check.status for check in checks if _counts(check))
    if failed and status not in RED:
        status = Status.FAILED
    return replace(candidate, status=status, failed=tuple(failed))


def _red(checks: Iterable[CheckResult]) -> list[str]:
    return [check.name for check in checks if check.status in RED]


def _budget_checks(
    candidate: Candidate, reference: Evaluation, targets: Mapping[str, TargetTable], rules: Rules
) -> list[tuple[CheckResult, ...]]:
    """The candidate by the budgets of each target that may ship it, but for its latency."""
    return [
        tuple(check_file(candidate, reference, table.budgets, rules, Place(name)))
        for name, table in targets.items()
        if may_ship(name, table, candidate)
    ]


def _counts(check: CheckResult) -> bool:
    """Whether a check bears on the outcome: one nobody stated does not where it is unavailable."""
    return check.stated or check.status is not Status.UNAVAILABLE


def _decide_target(
    name: str, table: TargetTable, candidates: Sequence[Candidate], reference: Evaluation,
    rules: Rules, compiled: Sequence[Compiled], on_device: Sequence[OnDevice], tried: bool,
) -> TargetResult:  # fmt: skip
    everywhere = Place(name, _why_no_latency(name, table), _why_no_arena(name))
    target = catalog.load(name)
    wanted = [c for c in candidates if may_ship(name, table, c)]
    own = own_device(name, table)
    found = {one.candidate: one for one in on_device if one.device == own}
    judged: list[tuple[Status, int, Candidate, tuple[CheckResult, ...]]] = []
    for candidate in wanted:
        there = found.get(candidate.id)
        place = _on_its_device(everywhere, there, target, table) if there else everywhere
        checks = tuple(_untried(candidate.id, name)) if not tried else ()
        checks += tuple(_refusals(candidate, target.conversion, name))
        checks += tuple(check_all(candidate, reference, table.budgets, rules, place))
        for one in compiled:
            if one.candidate == candidate.id:
                checks += (*one.checks, *check_compiled(one, table.budgets, rules, place))
        if tried:
            checks += tuple(_uncompiled(candidate, target, compiled))
        checks += tuple(_runtime_checks(candidate, name))
        checks += tuple(_device_checks(candidate, own, there, target, table))
        status = worst(check.status for check in checks if _counts(check))
        if status is Status.PASSED and not candidate.evaluation.metrics:
            status = Status.NOT_EVALUATED
        judged.append((status, candidate.bytes, candidate, checks))
    if not judged:
        check = _no_candidate(name, table, tried)
        return TargetResult(
            name,
            None,
            "no candidate",
            check.status,
            (check,),
            compiled=tuple(compiled),
            on_device=tuple(on_device),
        )
    status, _, candidate, checks = min(judged, key=_nearness)
    ships = candidate.id if status is Status.PASSED or _is_only_untried(checks) else None
    fit = _fit(candidate, target, table, found.get(candidate.id)) if tried else "not tried"
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


def _untried(candidate: str, target: str) -> Iterable[CheckResult]:
    message = (
        f"unavailable, because the run was not about {target}: nothing was compiled, run or packed"
        f" for it; `edgekit convert` with [targets.{target}] or --target {target} does that"
    )
    yield CheckResult("tried", candidate, target, Status.UNAVAILABLE, message)


def _no_candidate(name: str, table: TargetTable, tried: bool) -> CheckResult:
    what = f"of precision {table.precision} " if table.precision else ""
    if not tried:
        return replace(next(iter(_untried("", name))), name="candidate")
    message = f"no candidate {what}was made for {name}: add it to [convert] precisions"
    return CheckResult("candidate", "", name, Status.FAILED, message)


def _uncompiled(
    candidate: Candidate, target: Target, compiled: Sequence[Compiled]
) -> Iterable[CheckResult]:
    """What an NPU takes, only its compiler says: without its word nothing is known."""
    known = any(one.candidate == candidate.id for one in compiled)
    if target.npu is None or known or candidate.problem:
        return
    name = f"compiles for {target.npu.accelerator}"
    message = "unavailable, because the run did not compile it"
    yield CheckResult(name, candidate.id, target.id, Status.UNAVAILABLE, message)


def _on_its_device(place: Place, found: OnDevice, target: Target, table: TargetTable) -> Place:
    reason = ""
    if found.emulated:
        reason = f"{found.device} is emulated ({found.emulated}): its times are no device's"
    elif found.latency is None:
        reason = found.message or "it was not timed"
        if found.status is Status.UNAVAILABLE:
            key = own_device_key(target, found.device)
            reason = f"{reason}; the device is the one of {key}"
    elif not table.any_device:
        reason = another_machine(target, found.device, found.facts)
    return replace(place, latency=found.latency, no_latency=reason)


def _device_checks(
    candidate: Candidate, device: str, found: OnDevice | None, target: Target, table: TargetTable
) -> Iterable[CheckResult]:
    """Whether the target's device runs the candidate, and whether that device is the target."""
    if found is None:
        if device and candidate.evaluation.metrics and not candidate.problem:
            message = f"unavailable, because nothing was run on {device}"
            name = f"{RUNS_ON} {device}"
            yield CheckResult(name, candidate.id, target.id, Status.UNAVAILABLE, message)
        return
    name = f"{RUNS_ON} {found.device} ({found.runtime} {found.version})".replace(" ( )", "")
    message = found.message
    if found.status is Status.UNAVAILABLE:
        message = f"unavailable, because {message}"
    yield CheckResult(name, found.candidate, target.id, found.status, message)
    if found.status is not Status.UNAVAILABLE:
        status, said = judge_machine(target, found, table.any_device)
        yield CheckResult(MACHINE, found.candidate, target.id, status, said, described(target))


def _stands_for(candidate: Candidate) -> str | None:
    """The precision that a recovered candidate may be shipped for."""
    return candidate.recovery.stands_for if candidate.recovery else None


def _made_for(candidate: Candidate, conversion: Conversion) -> bool:
    """Whether a candidate is the one of its precision that the target's profile asks for.

    One that is as it is is the only one there is: whether it runs there is tried.
    """
    if candidate.as_is or candidate.recovery is not None:
        return True
    made = candidate.id.partition("@")[2]
    return made == profile_of(candidate.precision, conversion)


def _refusals(candidate: Candidate, conversion: Conversion, target: str) -> Iterable[CheckResult]:
    reason = refusal(candidate.precision, conversion)
    floats = [one for one in candidate.float_operators if one.split()[0] not in CASTS]
    # Of a file that was given the precision says less than its operators.
    if reason and not (candidate.as_is and candidate.precision == RECIPE and not floats):
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
        (c.name.startswith(RUNS_ON) or c.name == MACHINE) and c.status is Status.UNAVAILABLE
        for c in against
    )


def _runtime_results(candidate: Candidate, target: Target) -> list[RuntimeResult]:
    """How the candidate fared on each runtime that the target names, in the run's order."""
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
    """One check a runtime; one that is not here counts where no other of the target is either."""
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
        yield CheckResult(title, candidate.id, name, result.status, message, stated=stated)


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
        return f"what ships is compiled for {target.npu.accelerator}, and only that runs it"
    return ""


def _why_no_latency(name: str, table: TargetTable) -> str:
    if device := own_device(name, table):
        return f"nothing was measured on {device}"
    if name != catalog.host():
        key = own_device_key(catalog.load(name), "")
        return f"this host is not {name}: name its own device, {key} of the project file"
    return ""
