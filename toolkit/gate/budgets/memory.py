"""Budgets of memory: the tensor arena, and the peak of a process."""

from __future__ import annotations

from collections.abc import Iterator

from edgekit.gate import fixes
from edgekit.gate.rules import Basis
from edgekit.project import Budgets
from edgekit.types import Bound, Candidate, CheckResult, Measurement, Status

NOTHING = "nothing was evaluated"


def check_arena(basis: Basis, budgets: Budgets, candidate: Candidate) -> Iterator[CheckResult]:
    """Check the smallest tensor arena in which TFLM runs the file."""
    if (limit := budgets.arena) is not None:
        memory = candidate.evaluation.memory
        words = "the smallest arena that runs it on this host is {:,.0f} bytes"
        measured, reason = memory.arena if memory else None, basis.place.no_arena
        yield _check(basis, candidate, "arena", limit, measured, reason, words, fixes.ARENA)


def check_peak_memory(
    basis: Basis, budgets: Budgets, candidate: Candidate
) -> Iterator[CheckResult]:
    """Check the peak of resident memory over the runtime's own; of the target's own device only."""
    if (limit := budgets.peak_memory) is not None:
        memory = candidate.evaluation.memory
        words = "a process that holds it takes {:,.0f} bytes over the runtime's own"
        measured, reason = memory.peak_rss if memory else None, basis.place.no_memory
        fix = fixes.ARENA
        yield _check(basis, candidate, "peak memory", limit, measured, reason, words, fix)


def _check(
    basis: Basis,
    candidate: Candidate,
    name: str,
    limit: int,
    measured: Measurement | None,
    why_not: str,
    words: str,
    fix: str,
) -> CheckResult:
    shown, bound = f"at most {limit:,} bytes", Bound(limit, "byte")
    if why_not or measured is None or measured.value is None:
        key = name.replace(" ", "_")
        fix = f"take {key} out of {basis.place.key(candidate.id)}"
        if not why_not:
            fix = fixes.DEVICES if measured else fixes.EVALUATE
        reason = why_not or (measured.reason if measured else NOTHING)
        return basis.place.unavailable(name, candidate.id, reason, shown, bound, fix)
    status = Status.PASSED if measured.value <= limit else Status.FAILED
    message = words.format(measured.value)
    return basis.place.result(
        name, candidate.id, status, message, shown, True, measured, bound, fix
    )
