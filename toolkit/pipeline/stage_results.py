"""What came of a stage, in a few words: shown beside it, kept in the report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from edgekit import quantities
from edgekit.pipeline.items import Items
from edgekit.types import (
    Advice,
    Bundle,
    Candidate,
    Evaluation,
    Json,
    Latency,
    Measurement,
    OnDevice,
    Status,
)

# How many candidates are named.
MOST = 6


def files(candidates: Iterable[Candidate]) -> str:
    """Tell the size of each candidate, and which could not be made."""
    return quantities.listed(
        [
            f"{one.id} {quantities.size(one.bytes)}" if one.path else f"{one.id} not made"
            for one in candidates
        ],
        MOST,
    )


def metrics(
    reference: str, evaluated: Evaluation, candidates: Iterable[Candidate], items: Items
) -> str:
    """Tell the metric of the reference, and of each candidate."""
    sides = [
        (reference, evaluated),
        *((one.id, one.evaluation) for one in candidates if one.path),
    ]
    name, bounded = items.metric.name, items.metric.bounded
    figures = [
        f"{side} {quantities.value(evaluation.metrics.get(name), bounded)}"
        for side, evaluation in sides
    ]
    return f"{name} {quantities.listed(figures, MOST + 1)}"


def scores(figures: Iterable[tuple[str, Measurement | None]], items: Items) -> str:
    """Tell the metric of each model that has one, by its id."""
    name, bounded = items.metric.name, items.metric.bounded
    shown = [f"{side} {quantities.value(one, bounded)}" for side, one in figures if one is not None]
    return f"{name} {quantities.listed(shown, MOST)}" if shown else ""


def latencies(candidates: Iterable[Candidate]) -> str:
    """Tell the median of each candidate on this host."""
    timed = times((one.id, one.evaluation.latency) for one in candidates)
    return f"{timed} on this host" if timed else ""


def times(latencies: Iterable[tuple[str, Latency | None]]) -> str:
    """Tell the median of each model that was timed, by its id."""
    timed = [f"{side} {quantities.duration(one.p50)}" for side, one in latencies if one is not None]
    return quantities.listed(timed, MOST)


def runtimes(candidates: Iterable[Candidate]) -> str:
    """Tell on which runtimes every candidate runs, and of the others what they did not do."""
    by_runtime: dict[str, dict[Status, list[str]]] = {}
    for candidate in candidates:
        for result in candidate.evaluation.runtimes:
            named = f"{result.runtime} {result.version}".strip()
            found = by_runtime.setdefault(named, {})
            found.setdefault(result.status, []).append(candidate.id)
    return "; ".join(f"{name} {_on_runtime(found)}" for name, found in by_runtime.items())


def _on_runtime(by_status: Mapping[Status, Sequence[str]]) -> str:
    if set(by_status) == {Status.PASSED}:
        return "runs all"
    if set(by_status) == {Status.UNAVAILABLE}:
        return "not tried"
    words = {Status.INCOMPATIBLE: "fails with", Status.UNAVAILABLE: "not tried with"}
    return ", ".join(
        f"{words.get(status, status.value)} {quantities.listed(names, MOST)}"
        for status, names in by_status.items()
        if status is not Status.PASSED
    )


def data(judged: int, calibrated: int) -> str:
    """Tell how many items there are to judge by, and to calibrate with."""
    parts = []
    if judged:
        parts.append(f"{judged:,} items to judge by")
    if calibrated:
        parts.append(f"{calibrated:,} to calibrate with")
    return ", ".join(parts)


def findings(found: Iterable[Advice]) -> str:
    """Tell how many findings are worse than a note."""
    count = sum(one.severity != "info" for one in found)
    return f"{count or 'no'} finding{'' if count == 1 else 's'}"


def training(facts: Mapping[str, Json]) -> str:
    """Tell the last figures of a training."""
    history = facts.get("history") or {}
    return ", ".join(f"{name} {value:.4g}" for name, value in list(history.items())[:MOST])


def bundles(candidate: str, packed: Sequence[Bundle]) -> str:
    """Tell what ships, and how large its bundles are."""
    sizes = ", ".join(f"{one.kind} {quantities.size(one.bytes)}" for one in packed)
    return f"{candidate} as {sizes}" if packed else "none"


def on_device(results: Sequence[OnDevice]) -> str:
    """Tell the median of each candidate on a target's own device, or why there is none."""
    timed = [
        f"{result.candidate} {quantities.duration(result.latency.p50)}"
        for result in results
        if result.latency is not None
    ]
    if timed:
        return quantities.listed(timed, MOST)
    return results[0].message if results else ""
