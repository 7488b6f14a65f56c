"""One figure of a run each against the same figure of a lock, or of another run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edgekit.gate.lock.entries import LockedMetric, LockEntry
from edgekit.gate.lock.latency import latency_checks
from edgekit.gate.lock.metric import amount, compared, in_words, shown
from edgekit.gate.lock.tolerances import Tolerances
from edgekit.types import Bound, CheckResult, Measurement, Status

__all__ = ["Tolerances", "compare_entries"]


@dataclass(frozen=True)
class _Book:
    """How the checks of one entry are written: for which candidate, against what."""

    before: LockEntry
    now: LockEntry
    against: str

    def result(
        self,
        figure: str,
        status: Status,
        message: str,
        limit: str = "",
        measured: Measurement | None = None,
        bound: Bound | None = None,
        fix: str = "",
    ) -> CheckResult:
        tag, passed = self.now.tag, status is Status.PASSED
        return CheckResult(
            f"{self.against} {figure}",
            tag.candidate,
            tag.target,
            status,
            message,
            limit,
            measured=measured,
            bound=bound,
            fix="" if passed else fix,
        )


def compare_entries(
    before: LockEntry, now: LockEntry, tolerances: Tolerances, against: str = "lock"
) -> Iterator[CheckResult]:
    """Yield a check for each figure that the earlier entry has: none may be worse."""
    book = _Book(before, now, against)
    yield from _candidate(book)
    yield _size(book, tolerances)
    yield _operators(book)
    yield _runtime(book)
    yield from _arena(book)
    for name, metric in before.metrics.items():
        yield _metric(book, name, metric, tolerances)
    yield from latency_checks(before, now, tolerances, against)


def _candidate(book: _Book) -> Iterator[CheckResult]:
    before, now = book.before.tag.candidate, book.now.tag.candidate
    if before != now:
        message = f"ships {now}, and the {book.against} has {before}"
        fix = "make it pass again, or accept the other by a [[waiver]] until the lock has it"
        yield book.result("candidate", Status.FAILED, message, before, fix=fix)


def _size(book: _Book, tolerances: Tolerances) -> CheckResult:
    before, now = book.before.bytes, book.now.bytes
    limit = int(before * (1 + tolerances.size))
    status = Status.PASSED if now <= limit else Status.FAILED
    return book.result(
        "size",
        status,
        f"the file has {now:,} bytes{_change(now - before)}",
        f"at most {limit:,} bytes",
        Measurement(float(now), "byte"),
        Bound(float(limit), "byte"),
        "`edgekit diff` of both files tells which layer grew",
    )


def _change(difference: int) -> str:
    return f", {difference:+,} {_bytes(difference)}" if difference else ", as before"


def _bytes(count: int) -> str:
    return "byte" if abs(count) == 1 else "bytes"


def _operators(book: _Book) -> CheckResult:
    before, now = book.before.operators, book.now.operators
    added = [f"{name} version {v}" for name, v in now.items() if name not in before]
    raised = [
        f"{name} version {v}, before {before[name]}"
        for name, v in now.items()
        if name in before and v > before[name]
    ]
    limit = "no new kind or later version"
    if not added and not raised:
        return book.result("operators", Status.PASSED, f"{len(now)} kinds", limit)
    parts = [f"adds {', '.join(added)}"] if added else []
    parts += [f"raises {', '.join(raised)}"] if raised else []
    fix = "a device with an older application may lack it: `edgekit inspect` names the layer"
    return book.result("operators", Status.FAILED, "; ".join(parts), limit, fix=fix)


def _runtime(book: _Book) -> CheckResult:
    before, now = book.before, book.now
    limit = f"at most {_release(before.runtime, before.litert)}"
    message = f"needs {_release(now.runtime, now.litert)}"
    rises = _rises(before.runtime, now.runtime) or _rises(before.litert, now.litert)
    if not rises:
        return book.result("minimum runtime", Status.PASSED, message, limit)
    fix = "`edgekit inspect` names the operators that need it; keep their earlier versions"
    return book.result("minimum runtime", Status.FAILED, message, limit, fix=fix)


def _release(tensorflow: str, litert: str) -> str:
    parts = [f"TensorFlow {tensorflow}"] if tensorflow else []
    parts += [f"LiteRT {litert}"] if litert else []
    return " or ".join(parts) or "no release that is known"


def _rises(before: str, now: str) -> bool:
    """Tell whether a release is later than another; none at all is later than any."""
    if not before or before == now:
        return False
    if not now:
        return True
    from packaging.version import Version

    return Version(now) > Version(before)


def _arena(book: _Book) -> Iterator[CheckResult]:
    before, now = book.before.arena, book.now.arena
    if before is None:
        return
    limit = f"at most {before:,} bytes"
    bound = Bound(float(before), "byte")
    if now is None:
        message = "unavailable, because the run measured no arena"
        yield book.result("arena", Status.UNAVAILABLE, message, limit, bound=bound)
        return
    status = Status.PASSED if now <= before else Status.FAILED
    message = f"the smallest arena is {now:,} bytes{_change(now - before)}"
    fix = "`edgekit inspect` shows which layers' activations live at once"
    yield book.result("arena", status, message, limit, Measurement(float(now), "byte"), bound, fix)


def _metric(book: _Book, name: str, before: LockedMetric, tolerances: Tolerances) -> CheckResult:
    now = book.now.metrics.get(name)
    limit = f"not worse than {shown(before)}"
    if now is None:
        message = f"{name} is missing, and the {book.against} has it"
        fix = "evaluate the run on labelled items by the same metric"
        return book.result(name, Status.FAILED, message, limit, fix=fix)
    same = bool(book.before.semantic_hash) and book.before.semantic_hash == book.now.semantic_hash
    outcome = compared(before, now, same)
    status, allowed = outcome.status(tolerances.drop), tolerances.drop or 0.0
    if tolerances.drop is not None:
        limit = f"at most {amount(tolerances.drop, now)} worse than {shown(before)}"
    fix = "compare both models' worst items: `edgekit compare`"
    if status is Status.INCONCLUSIVE:
        fix = f"{outcome.settle(allowed)}; or allow a loss: max_drop in [lock]"
    message = f"{shown(now)}, drop {in_words(outcome.drop, now)}; {outcome.how}"
    bound = Bound(allowed, now.measured.unit, share="points" if now.bounded else "")
    return book.result(name, status, message, limit, outcome.drop, bound, fix)
