"""The results table: the reference on top, a row per candidate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgekit.errors import EdgekitError
from edgekit.report import evidence, parts, places, words
from edgekit.report.compression import compression_lines
from edgekit.report.grid import Row, grid
from edgekit.report.npu import npu_lines
from edgekit.report.recovery import recovery_lines
from edgekit.targets import catalog
from edgekit.types import (
    Candidate,
    CheckResult,
    Evaluation,
    Report,
    SchemeResult,
    Status,
    TargetResult,
)

# Checks that hold a file's bytes against a limit.
SIZES = ("size", "compiled size")
MARKS = {
    Status.PASSED: ("passed", "green"),
    Status.FAILED: ("FAILED", "red"),
    Status.INCOMPATIBLE: ("INCOMPATIBLE", "red"),
    Status.UNAVAILABLE: ("unavailable", "yellow"),
    Status.INCONCLUSIVE: ("inconclusive", "yellow"),
    Status.NOT_EVALUATED: ("not evaluated", "yellow"),
    Status.WAIVED: ("waived", "yellow"),
}
BARE_METAL = "bare metal"
RED = (Status.FAILED, Status.INCOMPATIBLE)
# The first of these that anything has is the outcome, as it is of the verdict.
WORST_FIRST = (*RED, Status.UNAVAILABLE, Status.INCONCLUSIVE)
# Of a table for this host's own target; elsewhere what was measured here says so.
HERE = (("latency p50", "p95"), ("ratio", ""), ("memory", ""))
ELSEWHERE = (("this host p50", "p95"), ("ratio", "this host"), ("memory", "this host"))
ARENA = ("arena", "by TFLM here")
# What is left out where a terminal is too narrow for all, first to last.
DROP = (
    "memory",
    "ratio",
    "sparsity",
    "this host p50",
    ARENA[0],
    "latency p50",
    "size",
    "flash",
)


def rows(report: Report) -> Iterator[Row]:
    """Yield the table's rows, the reference first."""
    bounded = bool(report.settings["bounded"])
    metric = str(report.settings["metric"])
    limited, memories = _is_limited(report), _memories(report)
    yield Row(
        (
            (report.reference.title, ""),
            (words.size(report.reference.bytes), ""),
            *_sparsity(report, ""),
            *measured(report.reference_evaluation, metric, bounded),
            *_memory(report.reference_evaluation, memories),
            ("reference", ""),
        )
    )
    for candidate in report.candidates:
        status, names = outcome_of_candidate(report, candidate)
        mark, style = MARKS[status]
        has_file = candidate.path is not None
        yield Row(
            (
                (candidate.id, ""),
                _sizes(candidate, limited) if has_file else (words.NONE, ""),
                *_sparsity(report, candidate.id if has_file else ""),
                *measured(candidate.evaluation, metric, bounded),
                *_memory(candidate.evaluation, memories),
                (mark, _stand_in(report, candidate.id) or ", ".join(names)),
            ),
            style,
        )


def outcome_of_candidate(report: Report, candidate: Candidate) -> tuple[Status, Sequence[str]]:
    """Return a candidate's status, and the checks that decide it: no better than any target's."""
    against = [
        (check.status, f"{target.id}: {check.name}" if len(report.targets) > 1 else check.name)
        for target in report.targets
        for check in target.checks
        if check.candidate == candidate.id and (check.stated or check.status in RED)
    ]
    for status in WORST_FIRST:
        if candidate.status is status:
            return status, candidate.failed
        names = list(dict.fromkeys(name for each, name in against if each is status))
        if names:
            return status, names
    return candidate.status, candidate.failed


def _is_limited(report: Report) -> bool:
    """Tell whether sizes have a limit: shown in kB, both could look alike."""
    judged = (report.verdict.checks, *(target.checks for target in report.targets))
    return any(check.name in SIZES for checks in judged for check in checks)


def _sizes(candidate: Candidate, limited: bool) -> tuple[str, str]:
    shown = words.exact if limited else words.size
    return shown(candidate.bytes), words.size(candidate.compressed_bytes)


def _stand_in(report: Report, candidate: str) -> str:
    """Name the candidate that recovers what this one lost, if any."""
    for other in report.candidates:
        if other.recovery and other.recovery.succeeded and other.recovery.stands_for == candidate:
            return f"see {other.id}"
    return ""


def measured(evaluation: Evaluation, metric: str, bounded: bool) -> tuple[tuple[str, str], ...]:
    value, drop = evaluation.metrics.get(metric), evaluation.drop.get(metric)
    latency, ratio = evaluation.latency, evaluation.latency_ratio
    return (
        (words.value(value, bounded), words.interval(value, bounded)),
        (words.points(drop, bounded), words.interval(drop, bounded)),
        (
            words.duration(latency.p50 if latency else None),
            words.duration(latency.p95) if latency else "",
        ),
        (f"x{ratio.value:.2g}" if ratio and ratio.value is not None else words.NONE, ""),
    )


def _memory(evaluation: Evaluation, kinds: Sequence[str]) -> Iterator[tuple[str, str]]:
    memory = evaluation.memory
    for kind in kinds:
        size = getattr(memory, kind).value if memory else None
        exact = words.exact if kind == "arena" else words.size
        yield words.NONE if size is None else exact(size), ""


def _memories(report: Report) -> tuple[str, ...]:
    """Choose the memory to show: a microcontroller has an arena, and no process with its memory."""
    small = [_is_microcontroller(target.id) for target in report.targets]
    if not any(small):
        return ("peak_rss",)
    return ("arena",) if all(small) else ("arena", "peak_rss")


def _is_microcontroller(target: str, unknown: bool = False) -> bool:
    try:
        return catalog.load(target).system == BARE_METAL
    except (EdgekitError, KeyError):
        # A target of somebody's own, which only their machine knows.
        return unknown


def _pruning(report: Report) -> SchemeResult | None:
    schemes = report.compression.schemes if report.compression else ()
    return next((scheme for scheme in schemes if scheme.scheme == "prune"), None)


def _sparsity(report: Report, candidate: str) -> tuple[tuple[str, str], ...]:
    """Return the cell for achieved and requested sparsity, in runs that prune."""
    pruned = _pruning(report)
    if pruned is None:
        return ()
    if not candidate or "@" in candidate:
        return ((words.NONE, ""),)
    return ((words.share(pruned.sparsity), pruned.requested.removesuffix(" zeros")),)


def headings(report: Report) -> list[tuple[str, str]]:
    """Return the table's column titles, two lines each."""
    unit = " (points)" if report.settings["bounded"] else ""
    memories = _memories(report)
    small = memories == ("arena",)
    latency, ratio, memory = ELSEWHERE if places.elsewhere(report) else HERE
    of_memory = {"arena": ARENA, "peak_rss": memory}
    return [
        ("precision", ""),
        ("flash" if small else "size", "zipped"),
        *([("sparsity", "asked")] if _pruning(report) is not None else []),
        (str(report.settings["metric"]), "95 % interval"),
        (f"drop{unit}", "95 % interval"),
        latency,
        ratio,
        *(of_memory[kind] for kind in memories),
        ("verdict", ""),
    ]


def table(report: Report) -> object:
    """Return the table for a rich console."""
    return grid(headings(report), rows(report), DROP)


def arena_lines(report: Report, target: TargetResult) -> Iterator[str]:
    """Yield the measured arena of what a microcontroller ships, unless an NPU has its own."""
    if not _is_microcontroller(target.id, unknown=True):
        return
    for candidate in report.candidates:
        memory = candidate.evaluation.memory
        if candidate.id == target.candidate and memory and memory.arena.value and not target.npu:
            yield f"  arena {memory.arena.value:,.0f} bytes, the smallest that runs it on this host"


def device_lines(target: TargetResult) -> Iterator[str]:
    """Yield the latency of the shipped candidate on the target's own device."""
    for measured in target.on_device:
        if measured.candidate == target.candidate and measured.latency is not None:
            p50, p95 = words.duration(measured.latency.p50), words.duration(measured.latency.p95)
            mark = f", estimates: {measured.estimates}" if measured.estimates else ""
            yield f"  on {measured.device}: median {p50}, 95th percentile {p95}{mark}"


def verdict_lines(report: Report) -> Iterator[tuple[str, str]]:
    """Yield the lines below the table, with their style."""
    if task := words.task(report.settings):
        yield task, "dim"
    if report.compression:
        for line in compression_lines(report):
            yield line, ""
    for candidate in report.candidates:
        if candidate.problem:
            first, *rest = candidate.problem.split("\n")
            yield f"{candidate.id}: {first}", "yellow"
            yield from ((f"  {line}", "yellow") for line in rest)
        if candidate.recovery:
            yield from recovery_lines(candidate.id, candidate.recovery)
        for result in candidate.evaluation.runtimes:
            if result.status is Status.INCOMPATIBLE:
                where = f"{result.runtime} {result.version}"
                yield f"{candidate.id} does not run on {where}: {result.message}", "yellow"
    for line in parts.lines(report):
        yield line, "dim"
    for target in report.targets:
        yield f"{target.id}: {words.ships(target)}", "" if target.candidate else "yellow"
        yield from ((line, "") for line in arena_lines(report, target))
        yield from ((line, "") for line in device_lines(target))
        if target.npu:
            yield from ((line, "") for line in npu_lines(target.npu))
        for bundle in (target.bundle, *target.further_bundles) if target.bundle else ():
            yield f"  bundle {words.path(bundle.path)} ({words.size(bundle.bytes)})", ""
    for advice in report.advice:
        yield f"{advice.severity} {advice.code}: {advice.message}", "dim"
        if advice.fix:
            yield f"  {advice.fix}", "dim"
    yield from result_lines(report)


def outcome(check: CheckResult) -> str:
    """Return a check's message without the status that is shown before it."""
    return check.message.removeprefix(f"{Status.UNAVAILABLE.value}, because ")


def fix_of(check: CheckResult, told: set[str]) -> str:
    """Return what to do about a check, unless its message or an earlier one has ``told`` it."""
    if check.status in (Status.PASSED, Status.WAIVED) or check.fix in told:
        return ""
    told.add(check.fix)
    return "" if check.fix in check.message else check.fix


def result_lines(report: Report, quiet: bool = False) -> Iterator[tuple[str, str]]:
    """Yield the checks that do not pass or have a limit, with what to do, and the verdict; quiet,
    none that pass, and no more than is red.
    """
    told: set[str] = set()
    for check in report.verdict.checks:
        passed = check.status is Status.PASSED
        # What has no limit of its own, such as that a runtime answers, is said by the target.
        if passed and (quiet or not check.limit):
            continue
        where = " ".join(part for part in (check.target, check.candidate, check.name) if part)
        limit = f" ({check.limit})" if check.limit else ""
        mark, style = MARKS[check.status]
        if passed:
            style = "dim"
        yield f"  {mark}: {where}{limit}: {outcome(check)}", style
        if not quiet and (fix := fix_of(check, told)):
            yield f"    {fix}", "dim"
    mark, style = MARKS[report.verdict.status]
    why = f": {lacking}" if (lacking := evidence.lacking(report.verdict)) else ""
    yield f"verdict: {mark}{why}", f"bold {style}"
