"""Models side by side: the first, and how each other differs from it on the same items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from edgekit import statistics
from edgekit.evaluation import metrics
from edgekit.evaluation.flips import flips
from edgekit.evaluation.latency import Timings
from edgekit.evaluation.parity import Floats, parity
from edgekit.gate import fixes
from edgekit.gate.budgets.metrics import in_words, items_to_settle, judge_drop
from edgekit.gate.decision import decide, settle, widened
from edgekit.gate.limits import check_limits
from edgekit.gate.rules import Limit, Rules
from edgekit.gate.statuses import EXIT_CODES, worst
from edgekit.pipeline.estimates import as_estimates, no_budget
from edgekit.pipeline.items import Items
from edgekit.pipeline.measure.answer_details import details_of
from edgekit.pipeline.measure.evaluate import UNLABELLED, runs, scored, scores, settings
from edgekit.pipeline.measure.kernels import advise
from edgekit.pipeline.measure.measure_options import MeasureOptions
from edgekit.pipeline.measure.model_on_device import (
    ModelOnDevice,
    answered,
    measuring,
    obtained,
    pairs,
)
from edgekit.pipeline.measure.network_comparison import layers, likeness, output_steps
from edgekit.pipeline.measure.timing import timed
from edgekit.pipeline.plan import Options
from edgekit.pipeline.run import Run
from edgekit.pipeline.scores import floor, rules_of, takes_labels, truths
from edgekit.pipeline.selection import select_items
from edgekit.project import Project
from edgekit.types import (
    Advice,
    Bound,
    CheckResult,
    Compared,
    Contrast,
    Latency,
    Measurement,
    PairedCounts,
    Progress,
    SavedModel,
    Status,
    Verdict,
)

BLOCK = 4096
Pairs = Mapping[str, tuple[Floats, Floats]]


def compare(
    project: Project,
    options: Options,
    sources: Sequence[str],
    measure_options: MeasureOptions,
    progress: Progress,
) -> Compared:
    """Set every model on every device beside the first. Raises :class:`EdgekitError`.

    What another one cannot do (a runtime that refuses it, a device that is not there) is a row.
    """
    with measuring(project, options, sources[0], progress) as run:
        latency = () if measure_options.latency is False else ("latency",)
        run.progress.expect(("models", "data", "evaluate", "compare", *latency))
        with run.stage("models"):
            models = obtained(run, sources, measure_options.devices)
        # Where the first is not there, its error was raised.
        subject = next(model.subject for model in models if model.subject is not None)
        items = _items(run, subject.model, measure_options)
        check_limits(items.metric.name, items.metric.bounded, measure_options.max_drop, {})
        with run.stage("evaluate") as stage:
            models = _evaluated(run, models, items, subject.model, measure_options)
            stage.result = scores(models, items)
        first, others = models[0], models[1:]
        rules = _with_floors(rules_of(run, items, measure_options.max_drop), first, items)
        with run.stage("compare"):
            contrasts = [
                _contrast(run, first, other, items, measure_options, rules) for other in others
            ]
        timings = timed(run, models, items, measure_options)
        if timings:
            advise(run, [model.answered.subject for model in models if model.answered is not None])
        checks = [runs(model) for model in models]
        judging = None if _lacks_labels(items) else rules
        for k, other in enumerate(others):
            contrasts[k] = _with_latency(contrasts[k], timings, _estimates(first, other))
            checks += _checks(contrasts[k], (first, other), judging, measure_options)
        status = worst(check.status for check in checks if _counts(check))
        return Compared(
            run=run.id,
            settings={**settings(run, items, measure_options), "reference": first.measured.id},
            models=tuple(model.measured for model in models),
            contrasts=tuple(contrasts),
            latency=_latencies(models, timings),
            advice=run.advices,
            verdict=Verdict(status, int(EXIT_CODES[status]), tuple(checks)),
            details=details_of(run, "compare", subject.model, models, items, contrasts, timings),
        )


def _evaluated(
    run: Run,
    models: Sequence[ModelOnDevice],
    items: Items,
    reference: SavedModel,
    options: MeasureOptions,
) -> tuple[ModelOnDevice, ...]:
    """Have every model answer, then score all; what the first cannot do is an error."""
    answering = [
        answered(run, model, items, reference, options, strict=k == 0)
        for k, model in enumerate(models)
    ]
    return tuple(
        scored(run, model, items, options, strict=k == 0) for k, model in enumerate(answering)
    )


def _items(run: Run, reference: SavedModel, measure_options: MeasureOptions) -> Items:
    """Select the items; parity and latency need no labels, only a metric that somebody names."""
    judged = run.project.evaluate.metric is not None or measure_options.max_drop is not None
    labelled = judged and takes_labels(run)
    items = select_items(run, reference, labelled=labelled, streaming=True)
    if _lacks_labels(items):
        message = "the items have no labels: no metric is taken, parity and latency need none"
        run.advise(Advice("EK-NOTE-072", "info", message))
    return items


def _lacks_labels(items: Items) -> bool:
    return items.metric.takes_labels and items.labels is None


def _contrast(
    run: Run,
    first: ModelOnDevice,
    other: ModelOnDevice,
    items: Items,
    options: MeasureOptions,
    rules: Rules,
) -> Contrast:
    """Compare a model with the first: their answers, and what their two files tell."""
    left, right = first.answered, other.answered
    mine, theirs = first.answers, other.answers
    if left is None or right is None or mine is None or theirs is None:
        return Contrast(other.measured.id)
    together = pairs(left, right)
    contrast = Contrast(
        id=other.measured.id,
        drop=Measurement.unavailable(items.metric.unit, UNLABELLED),
        flips=flips(mine, theirs, items.metric),
        changed=_changed(together),
        parity={name: parity(*both) for name, both in together.items()},
        steps=output_steps(left, right),
    )
    contrast = replace(
        contrast,
        likeness=likeness(run, left, right, items, options, contrast),
        layers=layers(run, left, right, items, options),
    )
    if items.metric.takes_labels and items.labels is None:
        return contrast
    drop, counts = metrics.drop(items.metric, truths(items), mine, theirs)
    others = {
        key: metrics.drop(view.metric, truths(view), first.others[key], other.others[key])
        for key, view in items.figures()
        if _had(first, key) and _had(other, key)
    }
    return replace(
        contrast,
        drop=drop,
        paired=counts,
        needed=items_to_settle(drop, counts, _limit(first.measured.metric, rules)),
        drops={key: lost for key, (lost, _) in others.items()},
        counts={key: counted for key, (_, counted) in others.items() if counted},
    )


def _had(model: ModelOnDevice, name: str) -> bool:
    """Tell whether a model has a figure beside the headline's."""
    figure = model.measured.outputs.get(name)
    return name in model.others and figure is not None and figure.how != "unavailable"


def _estimates(*sides: ModelOnDevice) -> str:
    """Tell why times of any of the sides are estimates; empty where none are."""
    return ", ".join(dict.fromkeys(s.measured.estimates for s in sides if s.measured.estimates))


def _with_latency(contrast: Contrast, timings: Timings | None, estimates: str) -> Contrast:
    if timings is None or contrast.id not in timings.names:
        return contrast
    ratio = as_estimates(timings.ratio(contrast.id), estimates)
    return replace(contrast, latency_ratio=ratio, noise=timings.noise)


def _latencies(models: Sequence[ModelOnDevice], timings: Timings | None) -> Mapping[str, Latency]:
    """Return the latency of every model that was timed, by id."""
    estimates = {model.measured.id: model.measured.estimates for model in models}
    names = timings.names if timings else ()
    return {name: as_estimates(timings.latency(name), estimates[name]) for name in names if timings}


def _limit(base: Measurement | None, rules: Rules) -> float:
    return _stated(rules).absolute((base.value if base else None) or 0.0, rules.floor)


def _stated(rules: Rules) -> Limit:
    return Limit(rules.max_drop) if rules.max_drop is not None else rules.default()


def _with_floors(rules: Rules, first: ModelOnDevice, items: Items) -> Rules:
    """Return the rules with what float32 can tell of each metric at the scale of the first's
    outputs.
    """
    if first.outputs is None or first.answers is None:
        return rules
    answers = {items.metric.name: first.answers, **first.others}
    floors = {
        name: floor(view, first.outputs, answers[name])
        for name, view in items.views()
        if name in answers
    }
    others = tuple(replace(one, floor=floors.get(one.metric, 0.0)) for one in rules.others)
    return replace(rules, floor=floors.get(rules.metric, 0.0), others=others)


def _changed(together: Pairs) -> Measurement:
    """Return the share of items of which any output value differs, with Wilson's interval."""
    if not together:
        return Measurement.unavailable("1", "the two models have no output in common")
    count = len(next(iter(together.values()))[0])
    differ = np.zeros(count, bool)
    for mine, theirs in together.values():
        for at in range(0, count, BLOCK):
            other = np.asarray(mine[at : at + BLOCK]) != np.asarray(theirs[at : at + BLOCK])
            differ[at : at + BLOCK] |= other.reshape(len(other), -1).any(axis=1)
    return _share(int(differ.sum()), count)


def _share(count: int, n: int) -> Measurement:
    return statistics.wilson(count, n).measurement("1", "Wilson")


def _counts(check: CheckResult) -> bool:
    """Tell whether a check decides the outcome: a default limit does only when it fails."""
    return check.stated or check.status in (Status.FAILED, Status.INCOMPATIBLE)


def _checks(
    contrast: Contrast,
    sides: tuple[ModelOnDevice, ModelOnDevice],
    rules: Rules | None,
    options: MeasureOptions,
) -> Iterator[CheckResult]:
    """Check one model's budgets against the first; nothing where it did not run.

    Without ``rules`` there is no metric to judge by.
    """
    if contrast.drop is None:
        return
    base = sides[0].measured
    if rules is not None:
        yield _check_drop(contrast.id, contrast.drop, contrast.paired, base.metric, rules)
    for other in rules.others if rules is not None else ():
        drop, counts = contrast.drops.get(other.metric), contrast.counts.get(other.metric)
        yield _check_drop(contrast.id, drop, counts, base.outputs.get(other.metric), other)
    for name, measured, budget in (
        ("flips", contrast.flips, options.max_flips),
        ("changed items", contrast.changed, options.max_changed),
    ):
        if budget is not None and measured is not None:
            yield _check_share(name, contrast.id, measured, budget)
    if options.max_error is not None:
        yield _check_error(contrast, options.max_error)
    if options.max_slowdown is not None:
        yield _check_slowdown(contrast, sides, options.max_slowdown)


def _check_drop(
    model: str,
    drop: Measurement | None,
    counts: PairedCounts | None,
    base: Measurement | None,
    rules: Rules,
) -> CheckResult:
    """Check the limit of one metric's drop; a default limit fails on a proven loss only."""
    name, stated = f"{rules.metric} drop", rules.max_drop is not None
    if drop is None:
        message = f"unavailable, because one of the two has no output {rules.output!r}"
        fix = "judge an output that both have: --metric-output ([evaluate] output)"
        return CheckResult(name, model, "", Status.UNAVAILABLE, message, fix=fix)
    limit = _limit(base, rules)
    status, message = judge_drop(drop, counts, limit, rules)
    fix = fixes.of_drop(status, "", items_to_settle(drop, counts, limit))
    if status is Status.INCONCLUSIVE and not stated:
        status = Status.PASSED
    value = (base.value if base else None) or 0.0
    shown = in_words(_stated(rules), value, rules.floor, rules)
    return CheckResult(
        name,
        model,
        "",
        status,
        message,
        shown,
        stated,
        drop,
        Bound(limit, drop.unit, share=rules.share),
        fixes.unless_passed(status, fix),
    )


def _check_share(name: str, model: str, measured: Measurement, budget: float) -> CheckResult:
    shown, bound = f"at most {100 * budget:g} %", Bound(budget, "1", share="%")
    if measured.value is None or measured.low is None or measured.high is None:
        message = f"unavailable, because {measured.reason}"
        fix = "compare models with the same outputs, on the same items"
        return CheckResult(
            name, model, "", Status.UNAVAILABLE, message, shown, bound=bound, fix=fix
        )
    message = (
        f"{100 * measured.value:.3g} % [{100 * measured.low:.3g}, {100 * measured.high:.3g}]"
        f" of {measured.n:,} items"
    )
    status = decide(measured, budget)
    if status is Status.INCONCLUSIVE:
        message += ": not proven either way, more items would settle it"
    fix = fixes.of_share(status)
    return CheckResult(name, model, "", status, message, shown, True, measured, bound, fix)


def _check_error(contrast: Contrast, budget: float) -> CheckResult:
    shown, bound = f"at most {budget:g}", Bound(budget, "output")
    errors = {name: figures["max_abs_error"] for name, figures in contrast.parity.items()}
    called, model = "largest error", contrast.id
    if not errors:
        message = "unavailable, because the two models have no output in common"
        fix = "compare models whose outputs have the same names: `edgekit inspect` lists them"
        return CheckResult(
            called, model, "", Status.UNAVAILABLE, message, shown, bound=bound, fix=fix
        )
    name, largest = max(errors.items(), key=lambda pair: pair[1].value or 0.0)
    status = Status.PASSED if (largest.value or 0.0) <= budget else Status.FAILED
    message = f"{largest.value:.4g} at output {name!r}"
    fix = fixes.unless_passed(status, fixes.LAYERS)
    return CheckResult(called, model, "", status, message, shown, True, largest, bound, fix)


def _check_slowdown(
    contrast: Contrast, sides: tuple[ModelOnDevice, ModelOnDevice], budget: float
) -> CheckResult:
    shown, bound = f"at most {100 * budget:g} % slower", Bound(1 + budget, "1", share="%")

    def unavailable(reason: str) -> CheckResult:
        status, message = Status.UNAVAILABLE, f"unavailable, because {reason}"
        fix = fixes.DEVICES
        return CheckResult("latency", contrast.id, "", status, message, shown, bound=bound, fix=fix)

    for one in (side.measured for side in sides if side.measured.estimates):
        return unavailable(no_budget(one.device, one.estimates))
    ratio, noise = contrast.latency_ratio, contrast.noise
    if ratio is None or noise is None or ratio.value is None:
        return unavailable("nothing was timed")
    message = f"x{ratio.value:.3f}"
    if ratio.low is not None and ratio.high is not None:
        message += f" [{ratio.low:.3f}, {ratio.high:.3f}]"
    more = settle(ratio, 1 + budget, noise)
    status = decide(ratio, 1 + budget, noise)
    text = f"{message}: {more}" if more else message
    measured, fix = widened(ratio, noise), fixes.unless_passed(status, fixes.of_time(status))
    return CheckResult("latency", contrast.id, "", status, text, shown, True, measured, bound, fix)
