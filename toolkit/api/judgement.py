"""The judging of a finished run: by its own limits, the project's, or others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgekit import gate
from edgekit.errors import ProjectError
from edgekit.gate import Rules, Waivers
from edgekit.gate.limits import check_operators, stated_budgets
from edgekit.project import (
    WRITTEN,
    Budgets,
    CandidateTable,
    Goal,
    Project,
    TargetTable,
    WaiverTable,
    own_targets,
)
from edgekit.report import is_dry, name_of, read
from edgekit.targets import catalog
from edgekit.types import Candidate, Json, Report, TargetResult, Verdict

__all__ = ["CheckOptions", "Judged", "judge", "latest", "waivers_of"]

# What an option of a run limits, in a table of budgets.
LIMITS = {"max_size": "size", "max_latency": "latency_p50", "max_arena": "arena"}


@dataclass(frozen=True)
class CheckOptions:
    """What a finished run is judged by beside its budgets, and to which checks it is narrowed.

    ``max_drop`` is in the metric's unit, ``max_size`` and ``max_arena`` in bytes, ``max_latency``
    in nanoseconds.
    """

    max_drop: float | None = None
    max_size: int | None = None
    precisions: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    metric_output: str | None = None
    max_latency: float | None = None
    max_arena: int | None = None


@dataclass(frozen=True)
class Judged:
    """A finished run by its budgets, the tables of the targets that were judged, and its waivers.

    ``whole`` says that nothing narrowed it to some of its targets or precisions.
    """

    report: Report
    tables: Mapping[str, TargetTable]
    waivers: Waivers
    whole: bool


def latest(output: Path, model: str | None = None) -> Path:
    """Return the newest run's report below an output folder, of any model or of the one named.

    A dry run measures nothing, and is passed over.
    Raises :class:`ProjectError`.
    """
    reports = sorted(
        (output / ".edgekit" / "runs").glob("*/report.json"),
        key=lambda path: path.stat().st_mtime_ns,
        reverse=True,
    )
    for path in reports:
        if (model is None or name_of(path) in (model, None)) and not is_dry(path):
            return path
    of = f" of {model}" if model else ""
    hint = "run `edgekit convert` first, or name a report.json"
    if reports:
        hint = "its newest runs are of other models: `edgekit convert` makes one of this"
    message = f"there is no report{of} below {output.resolve()}"
    raise ProjectError("EK-REPORT-001", message, hint)


def judge(path: Path, project: Project | None = None, asked: CheckOptions | None = None) -> Judged:
    """Judge a finished run by its budgets, as :func:`edgekit.api.check` does, by them alone."""
    asked = asked or CheckOptions()
    precisions, metric_output = asked.precisions, asked.metric_output
    max_drop, max_size = asked.max_drop, asked.max_size
    max_latency, max_arena = asked.max_latency, asked.max_arena
    report = read(path)
    own_targets.add_written(report.settings.get("own_targets", {}))
    targets = tuple(map(catalog.own_id, asked.targets))
    by_project = project is not None and bool(project.targets)
    tables = _tables(report, project)
    stated = by_project or _stated(report.settings)
    _known("precision", precisions, [c.precision for c in report.candidates])
    _known("target", targets, list(tables))
    kept = tuple(c for c in report.candidates if not precisions or _is_one_of(c, precisions))
    new = _new_budgets(report, project, tables if by_project else {})
    gate.check_limits(
        str(report.settings["metric"]), bool(report.settings["bounded"]), max_drop, new
    )
    tables = {name: table for name, table in tables.items() if not targets or name in targets}
    if stated and precisions:
        tables = _shipping(tables, report.candidates, kept)
    own = {} if targets else _own_budgets(report, project, precisions)
    own = {name: _of_one_output(each, report, metric_output) for name, each in own.items()}
    report, tables = _of_output(report, tables, metric_output)
    settings = report.settings
    if by_project:
        tables = {name: _with_limits(table, settings) for name, table in tables.items()}
    else:
        max_drop = settings["max_drop"] if max_drop is None else max_drop
        max_size = settings["max_size"] if max_size is None else max_size
        max_latency = settings.get("max_latency") if max_latency is None else max_latency
        max_arena = settings.get("max_arena") if max_arena is None else max_arena
    every = bool(report.settings["all_precisions_count"]) or (bool(precisions) and not targets)
    waivers = waivers_of(report, project)
    rules = replace(
        _rules(report, max_drop, max_size),
        waivers=waivers,
        max_latency=max_latency,
        max_arena=max_arena,
    )
    judged, results, verdict = _judge(report, kept, tables, rules, every and not stated, own)
    verdict = gate.as_evidence(verdict)
    report = replace(report, candidates=judged, targets=results, verdict=verdict)
    whole = not (precisions or targets or metric_output)
    return Judged(report, tables, waivers, whole)


def waivers_of(report: Report, project: Project | None) -> Waivers:
    """Return the waivers of a project, or where none is given those that the run was made with.

    Raises :class:`ProjectError` where the report holds what is not a waiver.
    """
    if project is not None:
        return Waivers(tuple(table.waiver for table in project.waiver))
    try:
        written = report.settings.get("waivers", ())
        return Waivers(tuple(WaiverTable.model_validate(one).waiver for one in written))
    except ValueError as error:
        hint = f"settings.waivers holds no waiver: {str(error)[:500]}"
        raise ProjectError("EK-REPORT-002", "the report cannot be read", hint) from error


def _judge(
    report: Report,
    kept: tuple[Candidate, ...],
    tables: Mapping[str, TargetTable],
    rules: Rules,
    all_count: bool,
    own: Mapping[str, Budgets],
) -> tuple[tuple[Candidate, ...], tuple[TargetResult, ...], Verdict]:
    """Judge the candidates kept; a target that ships the same candidate keeps its bundles."""
    made = {target.id: target for target in report.targets}
    judged, results, verdict = gate.judge_run(
        kept,
        report.reference_evaluation,
        tables,
        rules,
        all_count,
        {name: target.compiled for name, target in made.items()},
        {name: target.on_device for name, target in made.items()},
        set(made),
        own,
    )
    results = tuple(
        replace(
            r,
            bundle=made[r.id].bundle,
            further_bundles=made[r.id].further_bundles,
            npu=made[r.id].npu,
        )
        if r.candidate and r.id in made and made[r.id].candidate == r.candidate
        else r
        for r in results
    )
    return judged, results, verdict


def _is_one_of(candidate: Candidate, precisions: tuple[str, ...]) -> bool:
    """Tell whether a candidate has one of these precisions, or stands in for one that has."""
    recovered = candidate.recovery.stands_for if candidate.recovery else None
    return candidate.precision in precisions or recovered in precisions


def _of_output(
    report: Report, tables: dict[str, TargetTable], output: str | None
) -> tuple[Report, dict[str, TargetTable]]:
    """Restrict a report to one output's metric, and the targets to its budgets.

    Raises :class:`ProjectError` where the run judged no such output.
    """
    if output is None:
        return report, tables
    judged = list(report.settings.get("outputs", ()))
    _known("output", (output,), [str(row["output"]) for row in judged])
    headline = next(row for row in judged if row["output"] == output)
    direction = {name: headline[name] for name in ("direction", "bounded")}
    settings = {**report.settings, **direction, "metric": headline["name"], "outputs": [headline]}
    if headline is not judged[0]:
        # The run's own limit was the headline's, in its unit.
        same = bool(headline["bounded"]) and bool(judged[0]["bounded"])
        settings["max_drop"] = report.settings["max_drop"] if same else None
    return replace(report, settings=settings), {
        name: table.model_copy(update={"budgets": _of_one_output(table.budgets, report, output)})
        for name, table in tables.items()
    }


def _of_one_output(budgets: Budgets, report: Report, output: str | None) -> Budgets:
    """Leave out the goals of other outputs than the one that a check is narrowed to, if it is."""
    if output is None:
        return budgets
    judged = list(report.settings.get("outputs", ()))
    shown = {row["name"] for row in judged if row["output"] == output}
    changed: dict[str, object] = {"outputs": {}}
    if judged[0]["output"] == output:
        shown |= {row["name"] for row in report.settings.get("beside", ())}
    else:
        changed |= {"accuracy": None, "metric": budgets.outputs.get(output)}
    changed["metrics"] = {name: goal for name, goal in budgets.metrics.items() if name in shown}
    return budgets.model_copy(update=changed)


def _rules(report: Report, max_drop: float | None, max_size: int | None) -> Rules:
    """Build the rules that a report is judged by, output by output, as in the run itself."""
    settings = report.settings
    bounded = bool(settings["bounded"])
    judged = list(settings.get("outputs", ()))
    own = {candidate.sha256 for candidate in report.candidates if candidate.as_is}
    by_itself = report.reference.digest in own
    others = tuple(
        Rules(
            metric=str(output["name"]),
            bounded=bool(output["bounded"]),
            higher_is_better=output["direction"] == "higher",
            max_drop=max_drop if bounded and output["bounded"] else None,
            output=str(output["output"]),
            by_itself=by_itself,
        )
        for output in judged[1:]
    )
    beside = tuple(
        Rules(
            metric=str(shown["name"]),
            bounded=bool(shown["bounded"]),
            higher_is_better=shown["direction"] == "higher",
            output=str(judged[0]["output"]) if judged else "",
            by_itself=by_itself,
        )
        for shown in settings.get("beside", ())
    )
    return Rules(
        metric=str(settings["metric"]),
        bounded=bounded,
        higher_is_better=settings["direction"] == "higher",
        max_drop=max_drop,
        max_size=max_size,
        output=str(judged[0]["output"]) if judged else "",
        others=others,
        by_itself=by_itself,
        beside=beside,
    )


def _new_budgets(
    report: Report, project: Project | None, tables: Mapping[str, TargetTable]
) -> Mapping[str, Budgets]:
    """Return the budgets that the project has stated, whose names are known, by their tables.

    Raises :class:`ProjectError` for a name of no budget, metric or operator.
    """
    if project is None:
        return {}
    stated = stated_budgets(tables, project.candidates)
    rows = (*report.settings.get("outputs", ()), *report.settings.get("beside", ()))
    shown = {str(row["name"]): bool(row["bounded"]) for row in rows}
    for place, budgets in stated.items():
        check_operators(place, budgets)
        for name, goal in budgets.metrics.items():
            if name not in shown:
                # It knows every metric, which takes longer to import than all else of a check.
                from edgekit.pipeline.plan import check_budgets

                check_budgets(project)
            elif name != report.settings["metric"]:
                table = {f"{place}.{name}": Budgets(metric=goal)}
                gate.check_limits(name, shown[name], None, table)
    return stated


def _own_budgets(
    report: Report, project: Project | None, precisions: tuple[str, ...]
) -> Mapping[str, Budgets]:
    """Return the budgets of candidates: the project's, else those that the run was given.

    Those of other precisions than the ones named are left out.
    """
    try:
        if project is not None:
            tables = dict(project.candidates)
        else:
            written = report.settings.get("candidates", {})
            tables = {
                name: CandidateTable.model_validate(table, context=WRITTEN)
                for name, table in written.items()
            }
        return {
            name: table.budgets
            for name, table in tables.items()
            if not precisions or name.partition("@")[0] in precisions
        }
    except (ValueError, AttributeError) as error:
        hint = f"settings.candidates holds no budgets: {str(error)[:500]}"
        raise ProjectError("EK-REPORT-002", "the report cannot be read", hint) from error


def _tables(report: Report, project: Project | None) -> dict[str, TargetTable]:
    if project is not None and project.targets:
        return dict(project.targets)
    try:
        written = report.settings["targets"]
        return {n: TargetTable.model_validate(t, context=WRITTEN) for n, t in written.items()}
    except ValueError as error:
        hint = f"settings.targets holds no target's table: {str(error)[:500]}"
        raise ProjectError("EK-REPORT-002", "the report cannot be read", hint) from error


def _stated(settings: Mapping[str, Json]) -> bool:
    """Tell whether the run's targets were somebody's choice, not this host by default."""
    if "targets_stated" in settings:
        return bool(settings["targets_stated"])
    return any(table != {"budgets": {}} for table in settings["targets"].values())


def _shipping(
    tables: Mapping[str, TargetTable], every: Sequence[Candidate], kept: Sequence[Candidate]
) -> dict[str, TargetTable]:
    """Keep the targets that may ship one of the candidates kept, and those that may ship none.

    Raises :class:`ProjectError` where nothing is left to judge.
    """

    def takes(name: str, among: Sequence[Candidate]) -> bool:
        return any(gate.may_ship(name, tables[name], one) for one in among)

    kept_targets = {
        n: table for n, table in tables.items() if takes(n, kept) or not takes(n, every)
    }
    if not kept_targets:
        listed = ", ".join(dict.fromkeys(one.id for one in kept))
        message = f"no target of the report ships {listed}"
        ships = "; ".join(f"{name} {table.precision}" for name, table in tables.items())
        raise ProjectError("EK-REPORT-004", message, f"they ship: {ships}")
    return kept_targets


def _with_limits(table: TargetTable, settings: Mapping[str, Json]) -> TargetTable:
    """Return a project's table with the limits that the run was given, where it says no other."""
    budgets, max_drop = table.budgets, settings["max_drop"]
    changed: dict[str, object] = {}
    goal = budgets.goal or Goal()
    if max_drop is not None and goal.max_degradation is goal.percent_max_degradation is None:
        name = "accuracy" if budgets.accuracy else "metric"
        changed[name] = goal.model_copy(update={"max_degradation": max_drop})
    for option, key in LIMITS.items():
        if (limit := settings.get(option)) is not None and getattr(budgets, key) is None:
            changed[key] = limit
    return table.model_copy(update={"budgets": budgets.model_copy(update=changed)})


def _known(noun: str, names: tuple[str, ...], known: list[str]) -> None:
    for name in names:
        if name not in known:
            hint = f"it holds: {', '.join(known)}"
            raise ProjectError("EK-REPORT-003", f"the report holds no {noun} {name!r}", hint)
