"""From checks to what ships, and to the exit code."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from edgekit.gate import fixes
from edgekit.gate.checks import check_all, check_file
from edgekit.gate.rules import Basis, Rules, TargetContext, own_key
from edgekit.gate.shipping import judge_target, may_ship, rejudged
from edgekit.gate.statuses import EXIT_CODES, RED, counts, worst
from edgekit.gate.whole_check import Evidence, overturn
from edgekit.project import Budgets, TargetTable
from edgekit.types import (
    Candidate,
    CheckResult,
    Compiled,
    Evaluation,
    OnDevice,
    Report,
    Status,
    TargetResult,
    Verdict,
)

# Nothing of the model can be of the precision: the file would be the float32 one.
NO_SUCH_FORM = "EK-CONVERT-015"


def judge_run(
    candidates: Sequence[Candidate],
    reference: Evaluation,
    targets: Mapping[str, TargetTable],
    rules: Rules,
    precisions_stated: bool,
    compiled: Mapping[str, Sequence[Compiled]] | None = None,
    on_device: Mapping[str, Sequence[OnDevice]] | None = None,
    tried: Collection[str] | None = None,
    own: Mapping[str, Budgets] | None = None,
) -> tuple[tuple[Candidate, ...], tuple[TargetResult, ...], Verdict]:
    """Judge every candidate and target.

    ``precisions_stated`` says that precisions were named and no target was: then the budgets of
    the command line concern each of them. ``compiled`` says by target what its compiler makes of
    each, ``on_device`` what each does on its device; ``tried`` are the targets that the run was
    about, by default all. ``own`` are the budgets of candidates, whatever target ships them.
    Returns the candidates with their status, the targets with what they ship, and the verdict.
    """
    judged = judge_candidates(candidates, reference, _of_file(rules, precisions_stated))
    compiled, on_device = compiled or {}, on_device or {}
    results = tuple(
        judge_target(
            name,
            table,
            candidates,
            reference,
            rules,
            compiled.get(name, ()),
            on_device.get(name, ()),
            tried is None or name in tried,
        )
        for name, table in targets.items()
    )
    by_candidate = rules.waivers.apply(tuple(_judge_own(candidates, reference, rules, own or {})))
    counted = _of_candidates(candidates, judged) if precisions_stated else _of_targets(results)
    counted += by_candidate
    proven = overturn(counted, evidence_of(candidates, on_device))
    results = tuple(rejudged(result, tuple(map(proven, result.checks))) for result in results)
    by_budgets = [_budget_checks(each, reference, targets, rules) for each in candidates]
    with_status = tuple(
        _with_status(
            candidate,
            [proven(c) for c in (*checks, *by_candidate) if c.candidate == candidate.id],
            [list(map(proven, of_target)) for of_target in by_target],
        )
        for candidate, checks, by_target in zip(candidates, judged, by_budgets, strict=True)
    )
    of_targets = () if precisions_stated else results
    return with_status, results, _verdict(candidates, tuple(map(proven, counted)), of_targets)


def _verdict(
    candidates: Sequence[Candidate],
    counted: tuple[CheckResult, ...],
    results: Sequence[TargetResult],
) -> Verdict:
    """Return the worst of the checks and targets that count; no more than was evaluated."""
    status = worst([*_counted(counted), *(result.status for result in results)])
    if status is Status.PASSED and not any(c.evaluation.metrics for c in candidates):
        status = Status.NOT_EVALUATED
    return Verdict(status, int(EXIT_CODES[status]), counted)


def _of_file(rules: Rules, precisions_stated: bool) -> Rules:
    """Return the rules for a file by itself: times and arenas are a target's where there is one."""
    return rules if precisions_stated else replace(rules, max_latency=None, max_arena=None)


def _of_targets(results: Sequence[TargetResult]) -> tuple[CheckResult, ...]:
    return tuple(check for result in results for check in result.checks)


def _of_candidates(
    candidates: Sequence[Candidate], judged: Sequence[Sequence[CheckResult]]
) -> tuple[CheckResult, ...]:
    """Return the checks that count where precisions were named.

    What was recovered is judged by the candidate that stands in for it.
    """
    replaced = {c.recovery.stands_for for c in candidates if c.recovery and c.recovery.succeeded}
    replaced |= _spared(candidates)
    return tuple(check for checks in judged for check in checks if check.candidate not in replaced)


def evidence_of(
    candidates: Sequence[Candidate], on_device: Mapping[str, Sequence[OnDevice]]
) -> Evidence:
    """Collect what the intervals were made from."""
    counts = {
        (candidate.id, metric): paired
        for candidate in candidates
        for metric, paired in candidate.evaluation.paired.items()
    }
    latencies = {("", c.id): c.evaluation.latency for c in candidates if c.evaluation.latency}
    latencies |= {
        (target, each.candidate): each.latency
        for target, measured in on_device.items()
        for each in measured
        if each.latency
    }
    return Evidence(counts, latencies)


def with_checks(report: Report, added: Mapping[str, Sequence[CheckResult]]) -> Report:
    """Return a judged report with more checks, by target; those of "" are of the whole run.

    The verdict is that of all checks.
    """
    targets = tuple(
        replace(
            result,
            checks=(*result.checks, *added.get(result.id, ())),
            status=worst([result.status, *_counted(added.get(result.id, ()))]),
        )
        for result in report.targets
    )
    checks = (*report.verdict.checks, *(check for more in added.values() for check in more))
    # Where precisions count, no target does.
    by_target = any(check.target for check in report.verdict.checks)
    statuses = [result.status for result in targets] if by_target else []
    status = worst([*statuses, *_counted(checks)])
    return replace(
        report, targets=targets, verdict=Verdict(status, int(EXIT_CODES[status]), checks)
    )


def combined(verdicts: Sequence[Verdict], more: Sequence[CheckResult] = ()) -> Verdict:
    """Return the one verdict on several runs and ``more`` checks: the worst, and the checks of
    all.
    """
    status = worst([*(verdict.status for verdict in verdicts), *_counted(more)])
    checks = (*(check for verdict in verdicts for check in verdict.checks), *more)
    return Verdict(status, int(EXIT_CODES[status]), checks)


def _counted(checks: Iterable[CheckResult]) -> list[Status]:
    return [check.status for check in checks if counts(check)]


def as_evidence(verdict: Verdict) -> Verdict:
    """Return a verdict as a gate takes it: unavailable, not passed, if nothing was evaluated."""
    if verdict.status is not Status.NOT_EVALUATED:
        return verdict
    message = "unavailable, because the run evaluated nothing"
    fix = fixes.EVALUATE
    check = CheckResult("evaluation", "", "", Status.UNAVAILABLE, message, fix=fix)
    code = int(EXIT_CODES[Status.UNAVAILABLE])
    return Verdict(Status.UNAVAILABLE, code, (*verdict.checks, check))


def _spared(candidates: Sequence[Candidate]) -> set[str]:
    """Return precisions that this model cannot have, where others were asked for beside them.

    Who asks for one alone means that one.
    """
    lacking = {c.id for c in candidates if c.problem.startswith(NO_SUCH_FORM)}
    return set() if len(lacking) == len(candidates) else lacking


def judge_candidates(
    candidates: Sequence[Candidate], reference: Evaluation, rules: Rules
) -> list[tuple[CheckResult, ...]]:
    """Return the checks of every candidate by itself, for no target."""
    basis = Basis(reference, Budgets(), rules, others=tuple(candidates))
    return [rules.waivers.apply(tuple(check_all(basis, each))) for each in candidates]


def _judge_own(
    candidates: Sequence[Candidate],
    reference: Evaluation,
    rules: Rules,
    own: Mapping[str, Budgets],
) -> Iterator[CheckResult]:
    """Check candidates by their own budgets, by id or precision, whatever target ships them.

    The command line's limits are not theirs. A candidate that was not made is unavailable.
    """
    bare = replace(rules, max_drop=None, max_size=None, max_latency=None, max_arena=None)
    for name, budgets in own.items():
        named = [each for each in candidates if name in (each.id, each.precision)]
        if not named:
            message = f"unavailable, because the run made no candidate {name}"
            fix = (
                f"add {name.partition('@')[0]} to [convert] precisions, or take out {own_key(name)}"
            )
            yield CheckResult("candidate", name, "", Status.UNAVAILABLE, message, fix=fix)
        basis = Basis(reference, budgets, bare, others=tuple(candidates))
        for candidate in named:
            yield from (check for check in check_all(basis, candidate) if check.stated)


def _with_status(
    candidate: Candidate, checks: Sequence[CheckResult], by_target: Sequence[Sequence[CheckResult]]
) -> Candidate:
    """Return the candidate with the status of its checks, and the names of those that are red.

    Red by a target's budgets is only what no target that may ship it takes.
    """
    reds = [_red(failed_checks) for failed_checks in by_target]
    failed = dict.fromkeys(_red(checks))
    if reds and all(reds):
        failed |= dict.fromkeys(name for failed_checks in reds for name in failed_checks)
    if not checks and not failed:
        return candidate
    status = worst(check.status for check in checks if counts(check))
    if failed and status not in RED:
        status = Status.FAILED
    return replace(candidate, status=status, failed=tuple(failed))


def _red(checks: Iterable[CheckResult]) -> list[str]:
    return [check.name for check in checks if check.status in RED]


def _budget_checks(
    candidate: Candidate, reference: Evaluation, targets: Mapping[str, TargetTable], rules: Rules
) -> list[tuple[CheckResult, ...]]:
    """Check a candidate by the budgets, but for latency, of each target that may ship it."""
    return [
        rules.waivers.apply(
            tuple(
                check_file(Basis(reference, table.budgets, rules, TargetContext(name)), candidate)
            )
        )
        for name, table in targets.items()
        if may_ship(name, table, candidate)
    ]
