"""A lock tightened by a run: better figures replace the locked ones, worse ones do not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from edgekit.gate.decision import decide
from edgekit.gate.lock.checks import compare_entries
from edgekit.gate.lock.entries import LockedMetric, LockEntry, Tag
from edgekit.gate.lock.latency import compare_latency, is_same
from edgekit.gate.lock.metric import shown
from edgekit.gate.lock.tolerances import Tolerances
from edgekit.gate.statuses import RED
from edgekit.gate.waivers import Waivers
from edgekit.types import CheckResult, Status


@dataclass(frozen=True)
class Updated:
    """The entries of the new lock, what changed in words, and the checks that kept figures out."""

    entries: tuple[LockEntry, ...]
    changes: tuple[str, ...]
    refused: tuple[CheckResult, ...]


def update(
    locked: Sequence[LockEntry], now: Sequence[LockEntry], tolerances: Tolerances, waivers: Waivers
) -> Updated:
    """Tighten a lock by the entries of one model's run.

    A figure that is red against the lock stays as it was, unless a waiver accepts it. Entries of
    other models, and of targets that the run did not judge, stay.
    """
    kept = {entry.tag: entry for entry in locked}
    changes: list[str] = []
    refused: list[CheckResult] = []
    for new in now:
        before = locked_for(locked, new.tag)
        if before is None:
            kept[new.tag] = new
            changes.append(f"{new.tag}: new")
            continue
        checks = waivers.apply(tuple(compare_entries(before, new, tolerances)))
        red = {check.name.removeprefix("lock "): check for check in checks if check.status in RED}
        if "candidate" in red:
            refused += red.values()
            continue
        waived = {c.name.removeprefix("lock ") for c in checks if c.status is Status.WAIVED}
        merged = _merged(before, new, red, waived)
        refused += red.values()
        del kept[before.tag]
        kept[merged.tag] = merged
        changes += [f"{new.tag}: {text}" for text in _changes(before, merged)]
    return Updated(tuple(kept.values()), tuple(changes), tuple(refused))


def locked_for(locked: Sequence[LockEntry], tag: Tag) -> LockEntry | None:
    """Return the entry that a run's is held against: the same target's, whatever it ships.

    Without a target the candidate's own.
    """
    same = [
        entry
        for entry in locked
        if (entry.tag.model, entry.tag.target) == (tag.model, tag.target)
        and (tag.target or entry.tag.candidate == tag.candidate)
    ]
    return next((e for e in same if e.tag == tag), same[0] if same else None)


def _merged(
    before: LockEntry, new: LockEntry, red: Mapping[str, CheckResult], waived: set[str]
) -> LockEntry:
    """Take each figure that is not worse, or whose being worse is waived."""

    def take(figure: str, better: bool) -> bool:
        return figure not in red and (better or figure in waived)

    runtime = take("minimum runtime", True)
    metrics = dict(before.metrics)
    for name, metric in new.metrics.items():
        old = before.metrics.get(name)
        if old is None or take(name, _is_as_good(old, metric)):
            metrics[name] = metric
    arena = before.arena
    if arena is None or (new.arena is not None and take("arena", new.arena <= arena)):
        arena = new.arena
    latency = before.latency
    if latency is None or (new.latency and take("latency", _is_faster(before, new))):
        latency = new.latency
    return replace(
        new,
        bytes=new.bytes if take("size", new.bytes <= before.bytes) else before.bytes,
        operators=new.operators if take("operators", True) else before.operators,
        runtime=new.runtime if runtime else before.runtime,
        litert=new.litert if runtime else before.litert,
        arena=arena,
        metrics=metrics,
        latency=latency,
        # Hashes name the file whose figures are in the lock: not one that was refused.
        semantic_hash=before.semantic_hash if red else new.semantic_hash,
        sha256=before.sha256 if red else new.sha256,
    )


def _is_as_good(old: LockedMetric, new: LockedMetric) -> bool:
    """Tell whether a metric is not worse; on other items, the new ones are what is locked."""
    if old.items != new.items:
        return True
    difference = (new.measured.value or 0.0) - (old.measured.value or 0.0)
    return difference >= 0 if old.higher_is_better else difference <= 0


def _is_faster(before: LockEntry, now: LockEntry) -> bool:
    """Tell whether a latency is proven to be shorter, or can be held against the next run better.

    The luckiest of many equal runs is no faster: kept, it would make the next one look slower.
    """
    old, new = before.latency, now.latency
    if old is None or new is None:
        return new is not None
    if (old.ratio is None and new.ratio is not None) or old.device != new.device:
        return True
    if is_same(before, now):
        # Of an earlier edgekit, which did not say whose time it is.
        return not old.sha256 and bool(new.sha256)
    change = compare_latency(before, now)
    return decide(change.measured, 1.0, change.noise) is Status.PASSED


def _changes(before: LockEntry, after: LockEntry) -> Iterator[str]:
    if before.tag.candidate != after.tag.candidate:
        yield f"ships {after.tag.candidate} instead of {before.tag.candidate}"
    if before.bytes != after.bytes:
        yield f"size {before.bytes:,} to {after.bytes:,} bytes"
    if before.operators != after.operators:
        yield f"operators {_listed(before)} to {_listed(after)}"
    if (before.runtime, before.litert) != (after.runtime, after.litert):
        old, new = (before.runtime or "none", after.runtime or "none")
        yield f"minimum runtime TensorFlow {old} to {new}"
    if before.arena != after.arena:
        yield f"arena {before.arena or 0:,} to {after.arena or 0:,} bytes"
    for name, metric in after.metrics.items():
        old_metric = before.metrics.get(name)
        if old_metric is None or old_metric.measured.value != metric.measured.value:
            earlier = shown(old_metric) if old_metric else "nothing"
            yield f"{name} {earlier} to {shown(metric)}"
        elif old_metric.items != metric.items:
            yield f"{name} on other items"
    if before.latency != after.latency:
        yield "latency"
    if before.sha256 != after.sha256:
        yield "file"


def _listed(entry: LockEntry) -> str:
    return ", ".join(f"{name} {version}" for name, version in entry.operators.items())
