"""What each command found, as :class:`Judged`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from edgekit.report import words
from edgekit.report.ci.judged import (
    Change,
    Group,
    Judged,
    Table,
    Undecided,
    bounds,
    figure,
    grouped,
    of_run,
)
from edgekit.report.compression import layer_headings, layer_rows
from edgekit.report.grid import Row
from edgekit.report.outputs import TITLES, outputs_rows
from edgekit.report.table import headings, rows, verdict_lines
from edgekit.types import (
    BenchReport,
    Candidate,
    CheckedRuns,
    CheckResult,
    Compared,
    Contrast,
    Evaluated,
    Evaluation,
    Measurement,
    Report,
)

Done = Report | CheckedRuns | Evaluated | Compared | BenchReport
# More names than these make no title.
MOST_NAMES = 3
SAVED_MODEL = "SavedModel"


def judged(done: Done, command: str, seconds: float = 0.0, undecided: Undecided = "") -> Judged:
    """Return a finished run of a command in the form that outputs are drawn from."""
    if isinstance(done, Report):
        view = _report(done, command)
        seconds = sum(stage.seconds for stage in done.stages)
    elif isinstance(done, CheckedRuns):
        view = _several(done, command)
    elif isinstance(done, Evaluated):
        view = _evaluated(done, command)
    elif isinstance(done, Compared):
        view = _compared(done, command)
    else:
        view = _bench(done, command)
    return replace(view, seconds=seconds, undecided=undecided)


def _report(report: Report, command: str) -> Judged:
    by_id = {candidate.id: candidate for candidate in report.candidates}
    ships = {target.id: target for target in report.targets}
    groups = []
    for name, checks in grouped(report.verdict.checks):
        model = next((check.candidate for check in checks if check.candidate), "")
        target = ships.get(name)
        note = words.ships(target) if target is not None else ""
        changes = tuple(_against_reference(report, by_id.get(model), checks))
        groups.append(Group(name, checks, changes, model, note))
    tables = [_table("All candidates", headings(report), rows(report))]
    others = list(outputs_rows(report))
    if others:
        tables.append(_table("Other metrics", TITLES, others))
    tables += _layers(report) if command == "compress" else ()
    title = f"{report.model['name']} {report.model['version']}"
    lines = tuple(text for text, _ in verdict_lines(report))
    environment = {key: str(report.environment[key]) for key in ("edgekit",)}
    return Judged(
        command,
        title,
        report.run,
        report.verdict,
        tuple(groups),
        report.reference.title or SAVED_MODEL,
        tuple(tables),
        lines,
        report.advice,
        facts=environment,
    )


def _several(done: CheckedRuns, command: str) -> Judged:
    """Return several models' runs as one, with each group and table under its model's name."""
    views = [_report(report, command) for report in done.reports]
    named = list(zip(done.names, views, strict=True))
    of_runs = {id(check) for view in views for check in view.verdict.checks}
    others = tuple(check for check in done.verdict.checks if id(check) not in of_runs)
    groups = [_of_run(group, name) for name, view in named for group in view.groups]
    ended = tuple(check for check in others if check.name == "conversion")
    gone = tuple(check for check in others if check.name != "conversion")
    groups[:0] = [
        Group(name, checks)
        for name, checks in (("errors", ended), ("edgekit.lock", gone))
        if checks
    ]
    return Judged(
        command,
        f"{len(views) + len(ended)} models",
        ", ".join(view.run for view in views),
        done.verdict,
        tuple(groups),
        SAVED_MODEL,
        tuple(replace(t, title=f"{name}: {t.title}") for name, v in named for t in v.tables),
        tuple(f"{name}: {line}" for name, view in named for line in view.lines),
        tuple(dict.fromkeys(advice for view in views for advice in view.advice)),
        facts=views[0].facts,
    )


def _of_run(group: Group, run: str) -> Group:
    """Return a group, and its checks, as those of one run of several."""
    place = group.name if any(check.target for check in group.checks) else ""

    def told(check: CheckResult) -> CheckResult:
        return replace(check, target=of_run(run, check.target))

    checks = tuple(map(told, group.checks))
    moved = {id(old): new for old, new in zip(group.checks, checks, strict=True)}
    changes = tuple(
        replace(change, check=moved.get(id(change.check), change.check)) for change in group.changes
    )
    name = of_run(run, place or group.name)
    return replace(group, name=name, checks=checks, changes=changes, run=run)


def _layers(report: Report) -> Iterator[Table]:
    for scheme in report.compression.schemes if report.compression else ():
        titles = layer_headings(scheme)
        yield Table(f"Layers: {scheme.scheme}", titles, tuple(layer_rows(scheme)))


def _against_reference(
    report: Report, candidate: Candidate | None, checks: Sequence[CheckResult]
) -> Iterator[Change]:
    """Yield each figure of a candidate beside the reference's, then the other budgets' figures."""
    held = {check.name: check for check in checks if check.limit}
    if candidate is not None and candidate.path is not None:
        metric = str(report.settings["metric"])
        yield _size(report.reference.bytes, candidate.bytes, held.pop("size", None))
        evaluation, base = candidate.evaluation, report.reference_evaluation
        drop = held.pop(f"{metric} drop", None)
        if metric in evaluation.metrics and metric in base.metrics:
            yield _metric(report.settings, metric, base, evaluation, drop)
        yield from _times(base, evaluation, held.pop("latency_p50", None))
    yield from _other_budgets(held.values())


def _other_budgets(checks: Iterable[CheckResult]) -> Iterator[Change]:
    for check in checks:
        yield Change(check.name, "", figure(check) or words.NONE, "", bounds(check), check)


def _size(before: int, now: int, check: CheckResult | None) -> Change:
    return Change("size", words.exact(before), words.exact(now), _moved(now, before), "", check)


def _moved(now: float, before: float) -> str:
    """Return by how much a figure rose or fell, as a share of what it was."""
    if not before:
        return ""
    return arrow(100 * (now / before - 1), "%")


def arrow(change: float, unit: str) -> str:
    """Return a change with the direction it goes in."""
    shown = f"{abs(change):.3g}"
    if float(shown) == 0:
        return "="
    return f"{'↑' if change > 0 else '↓'} {shown} {unit}".rstrip()


def _metric(
    settings: Mapping[str, object],
    metric: str,
    base: Evaluation,
    evaluation: Evaluation,
    check: CheckResult | None,
) -> Change:
    bounded = bool(settings["bounded"])
    before, now = (words.value(one.metrics[metric], bounded) for one in (base, evaluation))
    change, interval = drop_in_words(
        evaluation.drop.get(metric), bounded, settings.get("direction") != "lower"
    )
    return Change(metric, before, now, change, interval, check)


def drop_in_words(
    drop: Measurement | None, bounded: bool, higher_is_better: bool
) -> tuple[str, str]:
    """Return a drop, which is positive when worse, as a change of its metric, and its interval."""
    if drop is None or drop.value is None:
        return "", ""
    sign, scale = (-1 if higher_is_better else 1), (100 if bounded else 1)
    change = arrow(sign * scale * drop.value, "points" if bounded else "")
    if drop.low is None or drop.high is None:
        return change, ""
    # Added to zero, a negative zero is not one.
    low, high = sorted((sign * scale * drop.low + 0.0, sign * scale * drop.high + 0.0))
    unit = " points" if bounded else ""
    return change, f"{low:+.3g} to {high:+.3g}{unit}"


def _times(base: Evaluation, evaluation: Evaluation, check: CheckResult | None) -> Iterator[Change]:
    if check is not None and check.measured is not None:
        # The budget's own figure, which may be another device's than the reference's.
        yield from _other_budgets([check])
        check = None
    if evaluation.latency is not None:
        before = words.duration(base.latency.p50) if base.latency else ""
        now = words.duration(evaluation.latency.p50)
        change, interval = ratio_in_words(evaluation.latency_ratio)
        yield Change("latency p50 on this host", before, now, change, interval, check)
    elif check is not None:
        yield from _other_budgets([check])


def ratio_in_words(ratio: Measurement | None) -> tuple[str, str]:
    """Return a ratio to the reference as a change, and its interval."""
    if ratio is None or ratio.value is None:
        return "", ""
    change = arrow(100 * (ratio.value - 1), "%")
    if ratio.low is None or ratio.high is None:
        return change, ""
    return change, f"{100 * (ratio.low - 1):+.3g} to {100 * (ratio.high - 1):+.3g} %"


def _table(title: str, titles: Sequence[tuple[str, str]], cells: Iterable[Row]) -> Table:
    """Return a table of two-line cells as one of texts."""

    def lines(cell: tuple[str, str]) -> str:
        return "\n".join(part for part in cell if part)

    return Table(
        title, tuple(map(lines, titles)), tuple(tuple(map(lines, row.cells)) for row in cells)
    )


def _evaluated(done: Evaluated, command: str) -> Judged:
    # Only what measured itself imports what these do.
    from edgekit.report import measurements

    title = _listed([model.id for model in done.models])
    bounded, metric = bool(done.settings["bounded"]), str(done.settings["metric"])
    by_id = {model.id: model for model in done.models}
    groups = []
    for name, checks in grouped(_by_model(done.verdict.checks)):
        model = by_id.get(name)
        changes = []
        if model is not None and model.metric is not None:
            interval = words.interval(model.metric, bounded)
            changes = [Change(metric, "", words.value(model.metric, bounded), "", interval)]
        groups.append(Group(name, checks, tuple(changes), name))
    return Judged(
        command,
        title,
        done.run,
        done.verdict,
        tuple(groups),
        lines=tuple(_texts(measurements.evaluated(done))),
        advice=done.advice,
    )


def _by_model(checks: Sequence[CheckResult]) -> list[CheckResult]:
    """Return checks of models on devices as the models': a device is in the name where it tells."""
    return [replace(check, target="") if check.candidate else check for check in checks]


def _listed(names: Sequence[str]) -> str:
    """Name some models in a title, or count many."""
    names = list(dict.fromkeys(names))
    return ", ".join(names) if len(names) <= MOST_NAMES else f"{len(names)} models"


def _texts(tables: Iterable[object]) -> Iterator[str]:
    """Yield the lines of text among tables."""
    for each in tables:
        if isinstance(each, str):
            yield from (line for line in each.splitlines() if line)


def _compared(done: Compared, command: str) -> Judged:
    from edgekit.report import measurements

    first = done.models[0]
    by_id = {contrast.id: contrast for contrast in done.contrasts}
    checks = dict(grouped(_by_model(done.verdict.checks)))
    groups = []
    for model in done.models[1:]:
        own = checks.pop(model.id, ())
        contrast = by_id.get(model.id)
        changes = tuple(_differences(done, contrast, model.id, own)) if contrast else ()
        groups.append(Group(model.id, own, changes, model.id))
    groups += [Group(name, own, (), name) for name, own in checks.items()]
    return Judged(
        command,
        f"{_listed([model.id for model in done.models[1:]])} against {first.id}",
        done.run,
        done.verdict,
        tuple(groups),
        first.id,
        lines=tuple(_texts(measurements.compared(done))),
        advice=done.advice,
    )


def _differences(
    done: Compared, contrast: Contrast, name: str, checks: Sequence[CheckResult]
) -> Iterator[Change]:
    """Yield the figures of a model beside those of the first."""
    bounded, metric = bool(done.settings["bounded"]), str(done.settings["metric"])
    higher = done.settings.get("direction") != "lower"
    first, model = done.models[0], next(each for each in done.models if each.id == name)
    held = {check.name: check for check in checks if check.limit}
    if first.bytes and model.bytes:
        yield _size(first.bytes, model.bytes, held.pop("size", None))
    before, now = (words.value(each.metric, bounded) for each in (first, model))
    change, interval = drop_in_words(contrast.drop, bounded, higher)
    if change:
        yield Change(metric, before, now, change, interval, held.pop(f"{metric} drop", None))
    if contrast.latency_ratio is not None and name in done.latency:
        mine, theirs = done.latency.get(first.id), done.latency[name]
        change, interval = ratio_in_words(contrast.latency_ratio)
        yield Change(
            "latency p50",
            words.duration(mine.p50 if mine else None),
            words.duration(theirs.p50),
            change,
            interval,
            held.pop("latency", None),
        )
    yield from _other_budgets(held.values())


def _bench(done: BenchReport, command: str) -> Judged:
    from edgekit.report import bench

    title = _listed([row.id for row in done.rows])
    checks = dict(grouped(done.verdict.checks))
    groups = []
    for row in done.rows:
        own = checks.pop(row.id, ())
        held = {check.name: check for check in own if check.limit}
        changes = []
        if row.latency is not None:
            p50 = row.latency.p50
            by_p50 = held.pop("latency", None) or held.pop("latency_p50", None)
            now, interval = words.duration(p50), bench.spread(p50)
            changes.append(Change("latency p50", "", now, "", interval, by_p50))
        changes += _other_budgets(held.values())
        groups.append(Group(row.id, own, tuple(changes), row.id))
    groups += [Group(name, own, (), name) for name, own in checks.items()]
    lines = tuple(text for text, _ in bench.lines(done))
    return Judged(
        command, title, done.run, done.verdict, tuple(groups), lines=lines, advice=done.advice
    )
