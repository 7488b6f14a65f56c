"""What is compared of a batch and its reference: each check with the chance that it is one."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgekit.record.monitoring.golden import Counts, Golden, GoldenFeature
from edgekit.record.monitoring.records import Batch
from edgekit.statistics import divergence
from edgekit.targets.runners.recorder import bounds
from edgekit.types import Measurement, Status
from edgekit.types.monitored import (
    Distribution,
    MonitoredKind,
    MonitoredRow,
    MonitorLimits,
)

LEVEL = 0.95
# Of the reference's percentile, whose interval is part of the test of the batch's.
REFERENCE_LEVEL = 0.999
# Each percentile, and how many times the slowdown it may have: few items tell p99.
PERCENTILES = {50: 1.0, 99: 2.5}
# What a server says before the kind of device that it runs on.
SERVED_ON = "edgekit serve on "
# Classes that are drawn; the rest are one bar.
MOST_BARS = 40


@dataclass(frozen=True)
class Reference:
    """What a batch is held against: the golden items, or the batch of a time that was well."""

    features: Mapping[str, Counts]
    missing: Mapping[str, int]
    classes: Counts | None
    latency: Mapping[int, int] | None
    failed: float
    told: str


@dataclass(frozen=True)
class Tested:
    """A row that is not judged yet, and the probabilities of its tests."""

    row: MonitoredRow
    p: tuple[float, ...] = ()


def of_golden(golden: Golden) -> Reference:
    """Return the golden statistics as a reference: none of their items failed, none was timed."""
    counts = {name: one.counts for name, one in golden.features.items()}
    missing = {name: one.missing for name, one in golden.features.items()}
    classes = golden.classes.counts if golden.classes else None
    told = f"the {golden.items:,} golden items"
    return Reference(counts, missing, classes, None, 0.0, told)


def of_batch(golden: Golden, batch: Batch) -> Reference:
    """Return an earlier batch as a reference."""
    classes = batch.class_counts(len(golden.classes.counts)) if golden.classes else None
    failed = batch.errors / max(1, batch.items + batch.errors)
    told = f"the {batch.items:,} items of the baseline"
    return Reference(batch.features, batch.missing, classes, batch.latency, failed, told)


def tested(
    golden: Golden, reference: Reference, batch: Batch, limits: MonitorLimits
) -> Iterator[Tested]:
    """Yield what is compared, in the order in which it is shown."""
    for feature in golden.features.values():
        yield _feature(golden, feature, reference, batch, limits)
    if golden.classes is not None and reference.classes is not None:
        labels = golden.classes.labels
        yield _classes(labels, reference.classes, batch, limits)
    for percent in PERCENTILES:
        yield _latency(percent, golden, reference, batch, limits)
    yield _errors(reference, batch, limits)
    yield _uncounted(reference, batch, limits)
    yield _lines(batch)


def _feature(
    golden: Golden,
    feature: GoldenFeature,
    reference: Reference,
    batch: Batch,
    limits: MonitorLimits,
) -> Tested:
    kind: MonitoredKind = "input" if feature.side == "input" else "output"
    if golden.classes is not None and golden.classes.feature == feature.name:
        kind = "confidence"
    before, now = reference.features[feature.name], batch.features[feature.name]
    shown = Distribution(_bins(feature), *_ints(before, now))
    row = _row(kind, feature.name, limits.drift, before, now, shown)
    if not row.n or not row.reference:
        return Tested(_unavailable(row))
    stability = divergence.stability(before, now, LEVEL)
    distance = divergence.binned_ks(before, now)
    ks_limit = divergence.ks_of_shift(limits.drift)
    chances = (
        stability.p(limits.drift),
        divergence.ks_p(distance, row.n, row.reference, ks_limit),
    )
    return Tested(replace(_judged(row, stability, limits.drift), ks=distance), chances)


def _classes(
    labels: tuple[str, ...], before: Counts, batch: Batch, limits: MonitorLimits
) -> Tested:
    now = batch.class_counts(len(before))
    names = labels if len(labels) == len(before) else tuple(map(str, range(len(before))))
    shown = _common(names, before, now)
    row = _row("classes", "class balance", limits.drift, before, now, shown)
    if not row.n or not row.reference:
        return Tested(_unavailable(row))
    found = divergence.balance(before, now, LEVEL)
    return Tested(_judged(row, found, limits.drift), (found.p(limits.drift),))


def _latency(
    percent: int, golden: Golden, reference: Reference, batch: Batch, limits: MonitorLimits
) -> Tested:
    """Compare a percentile by how many lie above what it may be: exact, whatever the shape is.

    Buckets count as their end that is worse for what is to be proven.
    """
    name = f"latency p{percent}"
    n, m = sum(batch.latency.values()), sum((reference.latency or {}).values())
    limit = 1 + limits.slowdown * PERCENTILES[percent]
    row = MonitoredRow("latency", name, Status.NOT_EVALUATED, "", limit, n=n, reference=m)
    if not n or not m or reference.latency is None:
        return Tested(_by_itself(percent, golden, batch, row))
    low, high = _quantile_interval(reference.latency, percent, REFERENCE_LEVEL)
    value = _quantile(batch.latency, percent)
    usual = _quantile(reference.latency, percent)
    own = _quantile_interval(batch.latency, percent, LEVEL)
    top = own[1] / low
    ratio = Measurement(
        value / usual,
        "ratio",
        n=n,
        low=own[0] / high,
        high=top if math.isfinite(top) else None,
        level=LEVEL,
    )
    slower = sum(count for key, count in batch.latency.items() if bounds(key)[0] > limit * high)
    within = sum(count for key, count in batch.latency.items() if bounds(key)[1] <= limit * low)
    share = percent / 100
    proven = _binomial_tail(within, n, share) <= 1 - LEVEL
    status = Status.PASSED if proven else Status.INCONCLUSIVE
    message = f"{_milliseconds(value)}, {_milliseconds(usual)} of the reference"
    found = replace(row, status=status, message=message, measured=ratio)
    return Tested(found, (_binomial_tail(slower, n, 1 - share),))


def _by_itself(percent: int, golden: Golden, batch: Batch, row: MonitoredRow) -> MonitoredRow:
    """Hold a percentile without a baseline against what the bundle states, where that is honest.

    The bundle states the median of the model alone. An app's time holds that and the app's own
    work: on the same kind of device it proves, where it is short enough, that the model is not
    slower; where it is longer, nothing. Of another kind of device it is not a reference.
    """
    if not row.n:
        return replace(row, message="not judged: no item was timed")
    seen = f"not judged: here {_milliseconds(_quantile(batch.latency, percent))}"
    mend = "record a time that was well, and name it: --baseline RECORDS"
    stated = golden.document.get("latency_p50") or {}
    value, device = stated.get("low") or stated.get("value"), golden.document.get("device")
    if percent != 50 or not isinstance(value, (int, float)) or value <= 0 or not device:
        return replace(row, message=f"{seen}, and the bundle states no such figure; {mend}")
    model = f"the {_milliseconds(value)} that the model alone took"
    kinds = {name.removeprefix(SERVED_ON) for name in batch.devices}
    if kinds != {device}:
        other = min(kinds - {device}, default="no device")
        why = f"{model} are of {str(device)[:60]}, and these records of {other[:60]}"
        return replace(row, message=f"{seen}; {why}, so they are not a reference; {mend}")
    limit = row.limit or 1.0
    within = sum(count for key, count in batch.latency.items() if bounds(key)[1] <= limit * value)
    if _binomial_tail(within, row.n, percent / 100) <= 1 - LEVEL:
        message = (
            f"{_milliseconds(_quantile(batch.latency, percent))}, within x{limit:g} of {model}"
        )
        return replace(row, status=Status.PASSED, message=message)
    why = f"more than x{limit:g} of {model} on this kind of device, which the app's own work may be"
    return replace(row, message=f"{seen}, {why}; {mend}")


def _errors(reference: Reference, batch: Batch, limits: MonitorLimits) -> Tested:
    total = batch.items + batch.errors
    message = f"{batch.errors:,} of {total:,} items were not answered"
    return _share(
        "errors", "errors", batch.errors, total, reference.failed + limits.errors, message
    )


def _uncounted(reference: Reference, batch: Batch, limits: MonitorLimits) -> Tested:
    """Compare the share of items that have no numbers where the golden ones had."""
    name, missing = max(batch.missing.items(), key=lambda one: one[1], default=("", 0))
    total = batch.items + batch.unrecorded
    counted = missing + batch.unrecorded
    usual = reference.missing.get(name, 0)
    usual_of = usual + int(reference.features[name].sum()) if name else 1
    message = f"{counted:,} of {total:,} items have no finite number, or not as many"
    message += f": {name}" if missing else ""
    limit = usual / max(1, usual_of) + limits.errors
    return _share("uncounted", "not finite", counted, total, limit, message)


def _lines(batch: Batch) -> Tested:
    """Tell whether so many lines were damaged that the rest may be another picture."""
    damaged = batch.kinds["damaged"]
    message = f"{batch.windows:,} window{'' if batch.windows == 1 else 's'}"
    message += "".join(f", {count:,} {kind}" for kind, count in sorted(batch.kinds.items()))
    # A window in twenty: more of them is no accident.
    status = Status.INCONCLUSIVE if damaged * 20 > batch.windows + damaged else Status.PASSED
    if not batch.windows:
        status = Status.UNAVAILABLE
    return Tested(MonitoredRow("records", "records", status, message, n=batch.windows))


def _share(
    kind: MonitoredKind, name: str, count: int, total: int, limit: float, message: str
) -> Tested:
    from scipy.stats import beta

    row = MonitoredRow(kind, name, Status.UNAVAILABLE, message, limit, n=total)
    if not total:
        return Tested(_unavailable(row))
    # Clopper and Pearson's bounds, each at the level by itself.
    low = float(beta.ppf(1 - LEVEL, count, total - count + 1)) if count else 0.0
    high = float(beta.ppf(LEVEL, count + 1, total - count)) if count < total else 1.0
    measured = Measurement(count / total, "share", n=total, low=low, high=high, level=LEVEL)
    status = Status.PASSED if high <= limit else Status.INCONCLUSIVE
    needed = None if high <= limit else _items_to_pass(count / total, limit)
    found = replace(row, status=status, measured=measured, settles=needed)
    return Tested(found, (_binomial_tail(count, total, limit),))


def _items_to_pass(share: float, limit: float) -> int | None:
    """Return how many items prove that such a share is within the limit, if any number does."""
    from scipy.stats import beta

    n = 1
    while share < limit and n <= divergence.MOST_ITEMS:
        count = math.ceil(share * n)
        if count < n and beta.ppf(LEVEL, count + 1, n - count) <= limit:
            return n
        n = math.ceil(n * 1.25)
    return None


def _row(
    kind: MonitoredKind,
    name: str,
    limit: float,
    before: Counts,
    now: Counts,
    shown: Distribution,
) -> MonitoredRow:
    n, m = int(now.sum()), int(before.sum())
    return MonitoredRow(
        kind, name, Status.UNAVAILABLE, "", limit, n=n, reference=m, distribution=shown
    )


def _judged(row: MonitoredRow, stability: divergence.Divergence, limit: float) -> MonitoredRow:
    measured = Measurement(
        stability.value,
        "PSI",
        n=row.n,
        low=stability.low,
        high=stability.high,
        level=stability.level,
    )
    if stability.high <= limit:
        return replace(row, status=Status.PASSED, measured=measured, raw=stability.raw)
    needed = divergence.items_to_pass(stability, limit, row.reference)
    if needed is not None and needed > row.n:
        message = f"too few items: about {needed:,} would settle it"
    elif needed is None and stability.value <= limit:
        message = f"the reference of {row.reference:,} items is too small to tell"
    else:
        message = "neither proven nor ruled out"
    return replace(
        row,
        status=Status.INCONCLUSIVE,
        message=message,
        measured=measured,
        raw=stability.raw,
        settles=needed,
    )


def _unavailable(row: MonitoredRow) -> MonitoredRow:
    why = "no item of the batch" if not row.n else "no item of the reference"
    return replace(row, status=Status.UNAVAILABLE, message=f"{why} has it")


def _bins(feature: GoldenFeature) -> tuple[str, ...]:
    edges = [f"{edge:.4g}" for edge in feature.edges]
    if not edges:
        return ("any",)
    between = [f"{a} to {b}" for a, b in itertools.pairwise(edges)]
    return (f"below {edges[0]}", *between, f"above {edges[-1]}")


def _common(names: tuple[str, ...], before: Counts, now: Counts) -> Distribution:
    """Return the classes to draw: the most frequent, in their order, and the rest as one."""
    if len(names) <= MOST_BARS:
        return Distribution(names, *_ints(before, now))
    kept = np.sort(np.argsort(-(before + now), kind="stable")[: MOST_BARS - 1])
    rest = np.setdiff1d(np.arange(len(names)), kept)
    folded = [np.append(one[kept], one[rest].sum()) for one in (before, now)]
    bins = (*(names[k] for k in kept), f"{len(rest)} others")
    return Distribution(bins, *_ints(*folded))


def _ints(*counts: Any) -> Iterator[tuple[int, ...]]:
    return (tuple(int(one) for one in each) for each in counts)


def _quantile(latency: Mapping[int, int], percent: int) -> float:
    """Return a percentile in nanoseconds: the middle of the bucket that it lies in."""
    total = sum(latency.values())
    low, high = bounds(_bucket_at(latency, max(1, -(-total * percent // 100))))
    return float(low + high) / 2


def _quantile_interval(
    latency: Mapping[int, int], percent: int, level: float
) -> tuple[float, float]:
    """Bound a percentile by ranks, two-sided; a bound that the items do not give is infinite."""
    from scipy.stats import binom

    total = sum(latency.values())
    low = int(binom.ppf((1 - level) / 2, total, percent / 100))
    high = int(binom.isf((1 - level) / 2, total, percent / 100)) + 1
    first = bounds(_bucket_at(latency, low))[0] if low else 0.0
    last = bounds(_bucket_at(latency, high))[1] if high <= total else float("inf")
    return float(max(first, 1)), float(last)


def _bucket_at(latency: Mapping[int, int], rank: int) -> int:
    seen = 0
    for key, count in sorted(Counter(latency).items()):
        seen += count
        if seen >= rank:
            return key
    raise ValueError("there are not as many items")


def _binomial_tail(count: int, total: int, share: float) -> float:
    """Return the probability of at least ``count`` of ``total``."""
    from scipy.stats import binom

    return float(binom.sf(count - 1, total, min(share, 1.0)))


def _milliseconds(nanoseconds: float) -> str:
    return f"{nanoseconds / 1e6:.3g} ms"
