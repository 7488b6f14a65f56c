"""What a bench is judged by: a latency that was named, or an earlier report."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from edgekit import nearby, strict_json
from edgekit.errors import ProjectError
from edgekit.evaluation.sustained import ratio
from edgekit.gate import fixes
from edgekit.gate.decision import decide_time, time_unit, widened
from edgekit.gate.machine import differences
from edgekit.gate.statuses import EXIT_CODES, worst
from edgekit.pipeline.estimates import no_budget
from edgekit.pipeline.measure.bench_twins import conditions, twin_of
from edgekit.statistics import Interval
from edgekit.targets.devices import DeviceBudgets
from edgekit.types import (
    Benched,
    BenchMachine,
    Bound,
    CheckResult,
    Json,
    Latency,
    Measurement,
    SelfTest,
    Status,
    Verdict,
)

# More than a bench of a thousand rows has.
LARGEST = 64 << 20
# The place of this host.
HERE = "local"


def judge(
    rows: Sequence[Benched],
    device: Mapping[str, Json],
    calibration: Measurement,
    max_latency: float | None,
    max_slowdown: float | None,
    baseline: Path | None,
    places: Mapping[str, BenchMachine] | None = None,
    budgets: Mapping[str, DeviceBudgets] | None = None,
) -> Verdict:
    """Judge every row by every budget; an absent row counts by its status.

    Where there is neither, nor a bundle's self-test, nothing was evaluated.

    ``max_latency`` in nanoseconds, of the median; ``max_slowdown`` a share of the baseline's.
    ``device`` and ``calibration`` are those of rows whose machine is not among ``places``;
    ``budgets`` are those of single devices, by name. Raises :class:`ProjectError` where the
    baseline is no such report.
    """
    checks = list(_absences(rows))
    document = read(baseline) if baseline is not None and max_slowdown is not None else None
    for row in rows:
        if row.selftest is not None and row.selftest.passed:
            checks.append(_selftest(row, row.selftest))
        if row.latency is None:
            continue
        place = (places or {}).get(row.place)
        noise = place.calibration if place else calibration
        if max_latency is not None:
            checks.append(_latency(row, row.latency, max_latency, noise))
        if document is not None and max_slowdown is not None:
            facts = place.facts if place and row.place != HERE else device
            checks.append(_slowdown(row, row.latency, facts, document, max_slowdown, noise))
        if (own := (budgets or {}).get(row.device)) is not None:
            checks += _own(row, row.latency, own, noise)
    status = worst(check.status for check in checks)
    return Verdict(status, int(EXIT_CODES[status]), tuple(checks))


def read(path: Path) -> Mapping[str, Json]:
    """Read a ``bench.json``. Raises :class:`ProjectError`."""
    if path.is_dir():
        path = path / "bench.json"
    if not path.is_file():
        hint = "give a bench.json, or the folder of a run of `edgekit bench`"
        raise ProjectError("EK-REPORT-001", f"there is no report {path}", nearby.hint(path, hint))
    try:
        document: Mapping[str, Json] = strict_json.loads(strict_json.bounded(path, LARGEST))
        for row in document["rows"]:
            _check(row)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        hint = f"a baseline is the bench.json of an earlier `edgekit bench`: {error}"
        raise ProjectError("EK-REPORT-002", f"{path} cannot be read", hint) from error
    return document


def _check(row: Mapping[str, Json]) -> None:
    """Raise ValueError, KeyError or TypeError where a row is not one of a bench."""
    _ = (str(row["source"]), conditions(row))
    if not row["latency"]:
        return
    median = Measurement(**row["latency"]["p50"])
    for end in (median.value, median.low, median.high):
        if end is not None and (not isinstance(end, int | float) or end < 0):
            raise ValueError(f"{row['source']}: {end!r} is not a time")


def _absences(rows: Sequence[Benched]) -> Iterator[CheckResult]:
    for row in rows:
        if row.status is not Status.PASSED:
            fix = fixes.DEVICES if row.status is Status.UNAVAILABLE else fixes.FIT
            yield CheckResult("runs", row.id, "", row.status, row.problem, fix=fix)


def _selftest(row: Benched, result: SelfTest) -> CheckResult:
    """Return the check of a bundle's self-test that passed; one that fails is an absent row."""
    largest = max((each or 0.0 for each in result.differences.values()), default=0.0)
    message = f"{result.items} golden items, largest difference {largest:.3g}"
    return CheckResult("self-test", row.id, "", Status.PASSED, message)


def _own(
    row: Benched, latency: Latency, budgets: DeviceBudgets, noise: Measurement
) -> Iterator[CheckResult]:
    """Judge a row by the budgets of its own device."""
    if budgets.latency_p50 is not None:
        yield _latency(row, latency, budgets.latency_p50, noise, "latency_p50")
    if budgets.latency_p95 is not None:
        yield _latency(row, latency, budgets.latency_p95, noise, "latency_p95")
    for name, limit in (("memory", budgets.memory), ("arena", budgets.arena)):
        if limit is not None:
            yield _held(row, name, limit)


def _held(row: Benched, name: str, limit: int) -> CheckResult:
    shown, bound = f"at most {limit:,} bytes", Bound(limit, "byte")
    memory = None
    if row.memory is not None:
        memory = row.memory.arena if name == "arena" else row.memory.peak_rss
    if memory is None or memory.value is None:
        why = memory.reason if memory else "it was not measured"
        message = f"unavailable, because {why}"
        fix = "measure it where memory can be: `edgekit devices` lists what works here"
        return CheckResult(
            name, row.id, "", Status.UNAVAILABLE, message, shown, bound=bound, fix=fix
        )
    status = Status.PASSED if memory.value <= limit else Status.FAILED
    message, fix = f"{memory.value:,.0f} bytes", fixes.unless_passed(status, fixes.ARENA)
    return CheckResult(name, row.id, "", status, message, shown, True, memory, bound, fix)


def _latency(
    row: Benched,
    latency: Latency,
    limit: float,
    calibration: Measurement,
    name: str = "latency",
) -> CheckResult:
    unit, scale = time_unit(limit)
    shown, bound = f"at most {limit / scale:g} {unit}", Bound(limit, "ns")
    if row.estimates:
        return _undecidable(name, row, row.estimates, shown)
    figure, noise = latency.p95 if name == "latency_p95" else latency.p50, _made(calibration)
    status, told = decide_time(figure, limit, noise, unit, scale)
    measured, fix = widened(figure, noise), fixes.unless_passed(status, fixes.of_time(status))
    return CheckResult(name, row.id, "", status, told, shown, True, measured, bound, fix)


def _slowdown(
    row: Benched,
    latency: Latency,
    device: Mapping[str, Json],
    document: Mapping[str, Json],
    limit: float,
    calibration: Measurement,
) -> CheckResult:
    shown = f"+{100 * limit:g} %"

    def undecided(message: str) -> CheckResult:
        fix = "make the baseline anew with this command, here: `edgekit bench`"
        return CheckResult("slowdown", row.id, "", Status.INCONCLUSIVE, message, shown, fix=fix)

    if row.estimates:
        return _undecidable("slowdown", row, row.estimates, shown)
    twin = twin_of(row, document["rows"])
    if twin is None:
        return undecided("the baseline has no such row: model, device, threads, batch, delegate")
    before = Measurement(**twin["latency"]["p50"])
    if before.how == "estimated":
        return _undecidable("slowdown", row, f"{before.tool}, in the baseline", shown)
    # Reports of earlier releases hold the facts of the host only.
    here, before_facts = row.facts or device, twin.get("facts") or document["device"]
    if other := differences(here, before_facts):
        return undecided(f"the baseline is of another machine: {other}")
    medians = (latency.p50, before)
    intervals = [interval for one in medians if (interval := _interval(one)) is not None]
    if len(intervals) < len(medians):
        missing = next(one.reason for one in medians if one.value is None)
        return CheckResult(
            "slowdown", row.id, "", Status.UNAVAILABLE, missing, shown, fix=fixes.DEVICES
        )
    there = document.get("places", {}).get(row.place, {})
    noises = [calibration, Measurement(**there.get("calibration", document["calibration"]))]
    interval = ratio(*intervals)
    slowdown = Measurement(interval.value, "1", low=interval.low, high=interval.high)
    noisier = max(noises, key=lambda one: one.value or 0.0)
    status, told = decide_time(slowdown, 1 + limit, _made(noisier), "of the baseline", 1.0)
    measured, bound = widened(slowdown, _made(noisier)), Bound(1 + limit, "1", share="%")
    fix = fixes.unless_passed(status, fixes.of_time(status))
    return CheckResult("slowdown", row.id, "", status, told, shown, True, measured, bound, fix)


def _undecidable(name: str, row: Benched, reason: str, shown: str) -> CheckResult:
    message = f"unavailable, because {no_budget(row.device, reason)}"
    fix = "time it on the device itself: what an emulator or a tool estimates decides nothing"
    return CheckResult(name, row.id, "", Status.UNAVAILABLE, message, shown, fix=fix)


def _interval(measurement: Measurement) -> Interval | None:
    if measurement.value is None:
        return None
    low = measurement.low if measurement.low is not None else 0.0
    high = measurement.high if measurement.high is not None else math.inf
    return Interval(measurement.value, low, high, measurement.level or 0.95, measurement.n or 0)


def _made(noise: Measurement) -> Measurement | None:
    """Return a calibration that was made; without one the interval alone speaks."""
    return noise if noise.value is not None else None
