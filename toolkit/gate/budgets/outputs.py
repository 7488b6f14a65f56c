"""Budgets of how closely outputs follow the reference's: changed classes, and parity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from edgekit.gate import fixes
from edgekit.gate.decision import decide
from edgekit.gate.rules import Basis
from edgekit.project import Budgets
from edgekit.types import Bound, Candidate, CheckResult, Measurement, Status

NOTHING = "nothing was compared"


def check_flips(basis: Basis, budgets: Budgets, candidate: Candidate) -> Iterator[CheckResult]:
    """Check the share of items that the file puts into another class than the reference does."""
    if (limit := budgets.flips) is None:
        return
    shown, bound = f"at most {100 * limit:g} %", Bound(limit, "1", share="%")
    changed = candidate.evaluation.flips
    if changed is None or changed.value is None or basis.rules.by_itself:
        reason = changed.reason if changed and changed.reason else NOTHING
        fix = fixes.REFERENCE if basis.rules.by_itself else fixes.EVALUATE
        yield basis.place.unavailable("flips", candidate.id, reason, shown, bound, fix)
        return
    status = decide(changed, limit)
    message = (
        f"{100 * (changed.value or 0.0):.3g} % [{100 * (changed.low or 0.0):.3g},"
        f" {100 * (changed.high or 1.0):.3g}] of {changed.n:,} items change class"
    )
    fix = fixes.of_share(status)
    yield basis.place.result(
        "flips", candidate.id, status, message, shown, True, changed, bound, fix
    )


def check_parity(basis: Basis, budgets: Budgets, candidate: Candidate) -> Iterator[CheckResult]:
    """Check the least SQNR and the largest error of all outputs."""
    goal = budgets.parity
    if goal is None:
        return
    for name, figure, limit in (
        ("SQNR", "sqnr", goal.sqnr),
        ("largest error", "max_abs_error", goal.max_error),
    ):
        if limit is not None:
            yield _check_parity(basis, candidate, name, figure, limit)


def _check_parity(
    basis: Basis, candidate: Candidate, name: str, figure: str, limit: float
) -> CheckResult:
    is_signal, outputs = figure == "sqnr", candidate.evaluation.parity
    unit = "dB" if is_signal else "output"
    shown = f"at least {limit:g} dB" if is_signal else f"at most {limit:g}"
    bound = Bound(limit, unit, at_least=is_signal)
    if basis.rules.by_itself or not outputs:
        fix = fixes.REFERENCE if basis.rules.by_itself else fixes.EVALUATE
        return basis.place.unavailable(name, candidate.id, NOTHING, shown, bound, fix)
    known = {output: figures[figure] for output, figures in outputs.items() if figure in figures}
    missing = [output for output in outputs if _is_missing(output, known, outputs)]
    if missing:
        reason = f"of output {missing[0]!r} {_reason(known.get(missing[0]))}"
        return basis.place.unavailable(name, candidate.id, reason, shown, bound, fixes.LAYERS)
    values = {output: each for output, each in known.items() if each.value is not None}
    if not values:
        message = "the outputs are equal"
        return basis.place.result(name, candidate.id, Status.PASSED, message, shown, bound=bound)
    pick = min if is_signal else max
    output = pick(values, key=lambda each: values[each].value or 0.0)
    measured = values[output]
    value = measured.value or 0.0
    kept = value >= limit if is_signal else value <= limit
    status = Status.PASSED if kept else Status.FAILED
    message = f"{value:.4g}{' dB' if is_signal else ''} at output {output!r}"
    return basis.place.result(
        name, candidate.id, status, message, shown, True, measured, bound, fixes.LAYERS
    )


def _is_missing(
    output: str,
    known: Mapping[str, Measurement],
    outputs: Mapping[str, Mapping[str, Measurement]],
) -> bool:
    """Tell whether a figure of an output cannot be had; equal outputs have no noise to measure."""
    figure = known.get(output)
    if figure is not None and figure.value is not None:
        return False
    error = outputs[output].get("max_abs_error")
    return error is None or error.value != 0


def _reason(figure: Measurement | None) -> str:
    return f"it is not known: {figure.reason}" if figure else "it was not measured"
