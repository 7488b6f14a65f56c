"""Budgets of what a file holds: operators, the runtime they need, multiply-accumulates, zeros."""

from __future__ import annotations

from collections.abc import Iterator

from edgekit.gate import fixes
from edgekit.gate.rules import Basis
from edgekit.project import Budgets
from edgekit.types import Bound, Candidate, CheckResult, Measurement, Status

NOT_KEPT = "the run is of an earlier release, which did not keep it"
ANEW = "run `edgekit convert` again: this release keeps it"
OTHER_OPERATORS = (
    "change the layer that makes it (`edgekit inspect` names the layer), or take another of"
    " [convert] precisions"
)


def check_operators(basis: Basis, budgets: Budgets, candidate: Candidate) -> Iterator[CheckResult]:
    """Check that every operator is one of those allowed, and none of those forbidden."""
    goal = budgets.operators
    if goal is None:
        return
    held = {operator.name: operator.count for operator in candidate.operators}
    red = [n for n in held if n in goal.forbidden or (goal.allowed and n not in goal.allowed)]
    shown = f"only {', '.join(goal.allowed)}" if goal.allowed else ""
    shown += f"{'; ' if shown else ''}no {', '.join(goal.forbidden)}" if goal.forbidden else ""
    measured = Measurement(float(len(red)), "operator", tool="the file's operators")
    bound, name = Bound(0, "operator"), "allowed operators"
    if not held:
        yield basis.place.unavailable(
            name, candidate.id, "the operators of the file are not known", shown, bound, ANEW
        )
        return
    status = Status.FAILED if red else Status.PASSED
    message = f"none of its {len(held)} kinds of operators is forbidden"
    if red:
        message = "it holds " + ", ".join(f"{name} ({held[name]})" for name in red)
    yield basis.place.result(
        name, candidate.id, status, message, shown, True, measured, bound, OTHER_OPERATORS
    )


def check_minimum_runtime(
    basis: Basis, budgets: Budgets, candidate: Candidate
) -> Iterator[CheckResult]:
    """Check that no operator needs a later release; the numbers are TensorFlow's."""
    limit, need = budgets.minimum_runtime, candidate.minimum_runtime
    if limit is None:
        return
    name, shown = "minimum runtime", f"at most TensorFlow {limit}"
    if need is None or not need.release:
        reason = (need.reason if need else "") or NOT_KEPT
        yield basis.place.unavailable(name, candidate.id, reason, shown, None, OTHER_OPERATORS)
        return
    status = Status.PASSED if _release(need.release) <= _release(limit) else Status.FAILED
    forced = f", because of {need.forced_by}" if need.forced_by else ""
    message = f"it needs TensorFlow {need.release}{forced}"
    yield basis.place.result(name, candidate.id, status, message, shown, fix=OTHER_OPERATORS)


def check_macs(basis: Basis, budgets: Budgets, candidate: Candidate) -> Iterator[CheckResult]:
    """Check the multiply-accumulates of one inference."""
    if (limit := budgets.macs) is None:
        return
    macs, shown = candidate.macs, f"at most {limit:,} multiply-accumulates"
    bound, name = Bound(limit, macs.unit if macs else "MAC"), "multiply-accumulates"
    if macs is None or macs.value is None:
        reason, fix = macs.reason if macs else NOT_KEPT, ANEW
        yield basis.place.unavailable(name, candidate.id, reason, shown, bound, fix)
        return
    status = Status.PASSED if macs.value <= limit else Status.FAILED
    message = f"an inference takes {macs.value:,.0f}"
    fix = "remove channels: `edgekit convert --channels 0.5` ([compress] channels)"
    yield basis.place.result(name, candidate.id, status, message, shown, True, macs, bound, fix)


def check_sparsity(basis: Basis, budgets: Budgets, candidate: Candidate) -> Iterator[CheckResult]:
    """Check that at least a share of the weights is zero, in the file itself."""
    if (limit := budgets.sparsity) is None:
        return
    zeros, shown, bound = (
        candidate.sparsity,
        f"at least {_percent(limit)}",
        Bound(limit, "1", True, "%"),
    )
    if zeros is None or zeros.value is None:
        reason, fix = zeros.reason if zeros else NOT_KEPT, ANEW
        yield basis.place.unavailable("sparsity", candidate.id, reason, shown, bound, fix)
        return
    status = Status.PASSED if zeros.value >= limit else Status.FAILED
    message = f"{_percent(zeros.value)} of its weights are zero"
    fix = f"prune more: `edgekit convert --prune {limit:g}` ([compress] prune)"
    yield basis.place.result(
        "sparsity", candidate.id, status, message, shown, True, zeros, bound, fix
    )


def check_npu_share(basis: Basis, budgets: Budgets, candidate: Candidate) -> Iterator[CheckResult]:
    """Check which share of the multiply-accumulates the NPU's compiler puts on the NPU.

    The compiler decides where an operator runs, so that what it says of that is not a guess, as its
    cycles are.
    """
    if (limit := budgets.npu_share) is None:
        return
    shown, bound = f"at least {_percent(limit)}", Bound(limit, "1", True, "%")
    compiled = basis.place.compiled.get(candidate.id)
    share = compiled.npu_share if compiled else None
    if share is None or share.value is None:
        reason = "no compiler of an NPU has taken it"
        if share is not None:
            reason = share.reason
        fix = f"`edgekit convert --target {basis.place.target or 'ID'}`, for a target with an NPU"
        yield basis.place.unavailable("NPU share", candidate.id, reason, shown, bound, fix)
        return
    status = Status.PASSED if share.value >= limit else Status.FAILED
    message = (
        f"{_percent(share.value)} of its multiply-accumulates are placed on the NPU, by its"
        f" compiler ({share.tool})"
    )
    yield basis.place.result(
        "NPU share", candidate.id, status, message, shown, True, share, bound, fixes.FIT
    )


def _release(text: str) -> tuple[int, ...]:
    """Return a release as numbers: 2.9 is before 2.14, and 2.14 is 2.14.0."""
    numbers = [int(part) for part in text.split(".") if part.isdecimal()]
    return tuple((*numbers, 0, 0, 0)[:3])


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"
