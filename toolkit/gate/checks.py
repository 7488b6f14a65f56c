"""All checks of a candidate by a table of budgets."""

from __future__ import annotations

from collections.abc import Iterator

from edgekit.gate import fixes
from edgekit.gate.budgets import BUDGETS
from edgekit.gate.budgets.sizes import check_bytes
from edgekit.gate.rules import Basis
from edgekit.types import Candidate, CheckResult, Compiled


def check_all(basis: Basis, candidate: Candidate) -> Iterator[CheckResult]:
    """Make every check of a candidate for the target (or for none)."""
    yield from _check(basis, candidate, everywhere=False)


def check_file(basis: Basis, candidate: Candidate) -> Iterator[CheckResult]:
    """Yield the checks that hold on every device: the file, its metrics and its size."""
    yield from _check(basis, candidate, everywhere=True)


def check_compiled(basis: Basis, compiled: Compiled) -> Iterator[CheckResult]:
    """Yield the check of the size budget on a compiled file, which is what the device gets."""
    limit = basis.rules.over(basis.budgets).size
    if compiled.bytes is not None and limit is not None:
        name, file, count = "compiled size", "compiled file", compiled.bytes
        yield check_bytes(basis, name, compiled.candidate, file, count, limit)


def _check(basis: Basis, candidate: Candidate, everywhere: bool) -> Iterator[CheckResult]:
    if candidate.problem:
        status, problem = candidate.problem_status, candidate.problem
        fix = fixes.of_problem(problem)
        yield basis.place.result("file", candidate.id, status, problem, fix=fix)
        return
    for budget in BUDGETS:
        if not (everywhere and budget.of_target):
            yield from budget.check(basis, basis.rules.over(basis.budgets), candidate)
