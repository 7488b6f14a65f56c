"""One line of the history: what one candidate measured, for one target, in one run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from edgekit.types import Candidate, Evaluation, Latency, Measurement, Report, TargetResult

SCHEMA_VERSION = 1
RUN = re.compile(r"(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)(\d\d)(?:-|$)")


@dataclass(frozen=True)
class HistoryEntry:
    """The figures of a candidate that a target ships; of one that none ships, without a target.

    ``date`` is local time as in the run's name, ``commit`` empty outside git. ``machine`` is where
    times and memory were measured, which are compared with those of no other. ``worse_when_lower``
    names the figures that are better when higher, ``shares`` those in 0..1, shown in per cent.
    """

    run: str
    date: str
    model: str
    version: str
    target: str
    candidate: str
    status: str
    sha256: str
    edgekit: str
    machine: str
    figures: Mapping[str, Measurement]
    commit: str = ""
    worse_when_lower: tuple[str, ...] = ()
    minimum_runtime: str = ""
    shares: tuple[str, ...] = ()


def entries(report: Report, commit: str = "") -> tuple[HistoryEntry, ...]:
    """Return the lines of a run: of what each target ships, then of the other candidates."""
    made = {candidate.id: candidate for candidate in report.candidates if not candidate.problem}
    shipped = [
        (target, made[name])
        for target in report.targets
        if (name := target.candidate or _meant(report, target, made)) in made
    ]
    others = made.keys() - {candidate.id for _, candidate in shipped}
    return (
        *(_entry(report, candidate, target, commit) for target, candidate in shipped),
        *(_entry(report, made[name], None, commit) for name in made if name in others),
    )


def _meant(report: Report, target: TargetResult, made: Mapping[str, Candidate]) -> str:
    """Return the candidate that a red target would ship, where there is no other; else nothing.

    The run in which a budget was broken is the one that a history must show.
    """
    precision = report.settings["targets"].get(target.id, {}).get("precision")
    suitable = [c.id for c in made.values() if precision in (None, c.precision)]
    return suitable[0] if len(suitable) == 1 else ""


def _entry(
    report: Report, candidate: Candidate, target: TargetResult | None, commit: str
) -> HistoryEntry:
    metric, need = str(report.settings["metric"]), candidate.minimum_runtime
    latency, machine = _timed(report, candidate, target)
    bounded = bool(report.settings["bounded"])
    return HistoryEntry(
        run=report.run,
        date=_date(report.run),
        model=str(report.model["name"]),
        version=str(report.model["version"]),
        target=target.id if target else "",
        candidate=candidate.id,
        status=(target.status if target else candidate.status).value,
        sha256=candidate.sha256,
        edgekit=str(report.environment["edgekit"]),
        machine=machine,
        figures=dict(_figures(candidate, metric, latency)),
        commit=commit,
        worse_when_lower=(metric,) if report.settings["direction"] == "higher" else (),
        minimum_runtime=need.release if need else "",
        shares=(metric, f"{metric} drop") if bounded else (),
    )


def _date(run: str) -> str:
    """Return the date in a run's name; empty where it is not one that edgekit gave."""
    matched = RUN.match(run)
    if matched is None:
        return ""
    year, month, day, hour, minute, second = matched.groups()
    return f"{year}-{month}-{day}T{hour}:{minute}:{second}"


def _timed(
    report: Report, candidate: Candidate, target: TargetResult | None
) -> tuple[Latency | None, str]:
    """Return the latency on the target's own device, or else on the run's host; and where it is."""
    for row in target.on_device if target else ():
        if row.candidate == candidate.id and row.latency is not None and not row.estimates:
            return row.latency, f"{row.device}, {row.runtime} {row.version}"
    facts = report.environment
    # Reports of before have no fingerprint of their host.
    device = facts.get("device", {})
    named = " ".join(
        str(device[name]) for name in ("system", "machine", "model", "cpu") if device.get(name)
    )
    named += f", {device['cpus']} cores" if named and device.get("cpus") else ""
    host = named or f"{facts['platform']} {facts['machine']}, {facts['cpus']} cores"
    litert = facts["packages"].get("ai-edge-litert")
    return candidate.evaluation.latency, f"{host}, litert {litert}" if litert else host


def _figures(
    candidate: Candidate, metric: str, latency: Latency | None
) -> Iterator[tuple[str, Measurement]]:
    """Yield what was measured, by the names of the budgets; what is unavailable is left out."""
    evaluation = candidate.evaluation
    sizes = {"size": candidate.bytes, "compressed_size": candidate.compressed_bytes}
    figures: dict[str, Measurement | None] = {
        **{name: Measurement(float(count), "byte") for name, count in sizes.items()},
        metric: evaluation.metrics.get(metric),
        f"{metric} drop": evaluation.drop.get(metric),
        "latency_p50": latency.p50 if latency else None,
        "latency_p95": latency.p95 if latency else None,
        "latency": evaluation.latency_ratio,
        "sqnr": _smallest(evaluation, "sqnr"),
        "peak_memory": evaluation.memory.peak_rss if evaluation.memory else None,
        "arena": evaluation.memory.arena if evaluation.memory else None,
    }
    for name, measured in figures.items():
        if measured is not None and measured.value is not None:
            yield name, measured


def _smallest(evaluation: Evaluation, name: str) -> Measurement | None:
    """Return the parity of the output that differs most."""
    known = [
        figures[name]
        for figures in evaluation.parity.values()
        if name in figures and figures[name].value is not None
    ]
    return min(known, key=lambda measured: measured.value or 0.0, default=None)
