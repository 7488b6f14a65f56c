"""Budgets of bytes: the file, the file zipped, and what an update takes."""

from __future__ import annotations

from collections.abc import Iterator

from edgekit.gate import fixes
from edgekit.gate.rules import Basis
from edgekit.project import Budgets
from edgekit.types import Bound, Candidate, CheckResult, Measurement, Status

NO_OLD = 'the run was given no older bundle or model: [bundle] delta_from = "…"'


def check_size(basis: Basis, budgets: Budgets, candidate: Candidate) -> Iterator[CheckResult]:
    """Check the bytes of the file."""
    if budgets.size is not None:
        count, limit = candidate.bytes, budgets.size
        yield check_bytes(basis, "size", candidate.id, "file", count, limit)


def check_compressed_size(
    basis: Basis, budgets: Budgets, candidate: Candidate
) -> Iterator[CheckResult]:
    """Check the bytes of the file in a zip archive."""
    if (limit := budgets.compressed_size) is not None:
        count, file = candidate.compressed_bytes, "file, zipped,"
        yield check_bytes(basis, "compressed size", candidate.id, file, count, limit)


def check_delta_size(basis: Basis, budgets: Budgets, candidate: Candidate) -> Iterator[CheckResult]:
    """Check the bytes of the update from an older model."""
    limit = budgets.delta_size
    if limit is None:
        return
    name, delta = "delta size", candidate.delta
    shown, bound = f"at most {limit:,} bytes", Bound(limit, "byte")
    if delta is None or delta.value is None:
        reason, fix = delta.reason if delta else NO_OLD, f"name one: {NO_OLD.partition(': ')[2]}"
        yield basis.place.unavailable(name, candidate.id, reason, shown, bound, fix)
        return
    status = Status.PASSED if delta.value <= limit else Status.FAILED
    message = f"the update from {delta.tool} has {delta.value:,.0f} bytes"
    fix = "keep more of the weights as they were: fine-tune fewer layers, or train for fewer epochs"
    yield basis.place.result(name, candidate.id, status, message, shown, True, delta, bound, fix)


def check_bytes(
    basis: Basis, name: str, candidate: str, file: str, count: int, limit: int
) -> CheckResult:
    """Hold a count of bytes against its limit."""
    status = Status.PASSED if count <= limit else Status.FAILED
    message, shown = f"the {file} has {count:,} bytes", f"at most {limit:,} bytes"
    return basis.place.result(
        name,
        candidate,
        status,
        message,
        shown,
        measured=Measurement(float(count), "byte", tool=f"the {file.rstrip(',')}"),
        bound=Bound(limit, "byte"),
        fix=fixes.of_size(limit, candidate, basis.others if name == "size" else ()),
    )
