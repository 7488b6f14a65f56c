"""The figures of a judged run, as a lock holds them."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping

from edgekit.gate.lock.entries import LockedLatency, LockedMetric, LockEntry, Tag
from edgekit.gate.machine import fingerprint
from edgekit.targets import catalog
from edgekit.types import (
    Candidate,
    Json,
    Measurement,
    OnDevice,
    Operator,
    Report,
    TargetResult,
)

LOCAL = "local"
# What times a candidate on this host.
RUNTIME_HERE = "ai-edge-litert"
# A share of items as it is written differs from the one that is counted by less.
ROUNDING = 1e-9
# What decides figures besides the model: the makers of files, and the runtimes that judge.
TOOLS = ("tensorflow", "ai-edge-litert", "tflite-runtime", "tflite-micro", "ai-edge-quantizer")


def entries_of(report: Report) -> tuple[LockEntry, ...]:
    """Return an entry for what each target ships, or would if it passed.

    Where precisions count, not targets, an entry for each precision.
    """
    name = str(report.model["name"])
    candidates = {candidate.id: candidate for candidate in report.candidates}
    targeted = [(r, shipped(r)) for r in report.targets if shipped(r) in candidates]
    if _precisions_count(report):
        return entries_of_candidates(report)
    return tuple(
        _entry(report, Tag(name, r.id, c), candidates[c], _latency(report, r, candidates[c]))
        for r, c in targeted
        if not candidates[c].problem
    )


def entries_of_candidates(report: Report) -> tuple[LockEntry, ...]:
    """Return an entry for every candidate of which there is a file, for no target."""
    name = str(report.model["name"])
    return tuple(
        _entry(report, Tag(name, "", c.id), c, _here(report, c))
        for c in report.candidates
        if not c.problem
    )


def shipped(result: TargetResult) -> str:
    """Return the candidate that a target ships, or else the one that its checks are about."""
    if result.candidate:
        return result.candidate
    return next((check.candidate for check in result.checks if check.candidate), "")


def _precisions_count(report: Report) -> bool:
    settings = report.settings
    return bool(settings["all_precisions_count"]) and not settings.get("targets_stated")


def _entry(
    report: Report, tag: Tag, candidate: Candidate, latency: LockedLatency | None
) -> LockEntry:
    need, memory = candidate.minimum_runtime, candidate.evaluation.memory
    arena = memory.arena.value if memory else None
    packages: Mapping[str, Json] = report.environment["packages"]
    tools = {name: str(packages[name]) for name in TOOLS if name in packages}
    return LockEntry(
        tag,
        candidate.semantic_hash,
        candidate.sha256,
        candidate.bytes,
        versions(candidate.operators),
        need.release if need else "",
        need.litert if need else "",
        None if arena is None else int(arena),
        dict(_metrics(report, candidate)),
        latency,
        {"edgekit": str(report.environment["edgekit"]), **tools},
    )


def versions(operators: tuple[Operator, ...]) -> dict[str, int]:
    """Return the largest version of each operator, in alphabetical order."""
    largest: dict[str, int] = {}
    for operator in operators:
        largest[operator.name] = max(operator.version, largest.get(operator.name, 0))
    return dict(sorted(largest.items()))


def _metrics(report: Report, candidate: Candidate) -> Iterator[tuple[str, LockedMetric]]:
    """Yield what is judged, output by output; what is only shown does not bind."""
    settings, evaluation = report.settings, candidate.evaluation
    judged = list(settings.get("outputs", ())) or [{**settings, "name": settings["metric"]}]
    for row in judged:
        measured = evaluation.metrics.get(row["name"])
        if measured is None or measured.value is None:
            continue
        yield (
            row["name"],
            LockedMetric(
                measured,
                row["direction"] == "higher",
                bool(row["bounded"]),
                evaluation.drop.get(row["name"]),
                evaluation.paired.get(row["name"]),
                str(settings["items"].get("digest", "")),
                report.reference.digest,
                _right(report, candidate, row["name"], measured),
            ),
        )


def _right(report: Report, candidate: Candidate, metric: str, measured: Measurement) -> bytes:
    """Return which items a candidate has right, where the run left that beside its report.

    Nothing where it is of another metric, or does not give the metric's value.
    """
    details = report.details.candidates.get(candidate.id) if report.details else None
    if details is None or metric != report.settings["metric"] or not measured.n:
        return b""
    try:
        bits = base64.b64decode(details.right, validate=True)
    except ValueError:
        return b""
    share = int.from_bytes(bits, "big").bit_count() / measured.n
    fits = len(bits) == -(-measured.n // 8) and abs(share - (measured.value or 0.0)) < ROUNDING
    return bits if fits else b""


def _latency(report: Report, result: TargetResult, candidate: Candidate) -> LockedLatency | None:
    """Return what the target's own device gave, or this host where it is the target."""
    row = next((r for r in result.on_device if r.candidate == candidate.id), None)
    if row is not None:
        return _there(row, candidate)
    if result.id != catalog.host():
        return None
    return _here(report, candidate)


def _there(row: OnDevice, candidate: Candidate) -> LockedLatency | None:
    if row.latency is None or row.estimates:
        return None
    return LockedLatency(
        row.device,
        fingerprint(row.facts),
        row.latency.p50,
        row.latency.p95,
        noise=_known(row.latency.noise),
        sha256=candidate.sha256,
        runtime=f"{row.runtime} {row.version}".strip(),
        beside=row.latency.beside,
    )


def _here(report: Report, candidate: Candidate) -> LockedLatency | None:
    latency, ratio = candidate.evaluation.latency, candidate.evaluation.latency_ratio
    if latency is None or latency.p50.value is None:
        return None
    machine = fingerprint(report.environment.get("device") or {})
    version = report.environment["packages"].get(RUNTIME_HERE)
    return LockedLatency(
        LOCAL,
        machine,
        latency.p50,
        latency.p95,
        _known(ratio),
        _known(latency.noise),
        candidate.sha256,
        f"litert {version}" if version else "",
        report.reference.runtime if ratio else "",
        latency.beside,
    )


def _known(measured: Measurement | None) -> Measurement | None:
    return measured if measured is not None and measured.value is not None else None
