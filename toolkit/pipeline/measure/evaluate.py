"""A model on devices: its metric with an interval, details by class, slices, the worst items."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from edgekit.errors import DataError, RunnerError
from edgekit.evaluation import metrics
from edgekit.evaluation.parity import Floats
from edgekit.evaluation.slices import slices
from edgekit.evaluation.worst import worst
from edgekit.gate import fixes
from edgekit.gate.statuses import EXIT_CODES
from edgekit.gate.statuses import worst as worst_status
from edgekit.pipeline import stage_results
from edgekit.pipeline.clipping import advise_clipped
from edgekit.pipeline.details.answers import called
from edgekit.pipeline.items import Items
from edgekit.pipeline.measure.answer_details import details_of
from edgekit.pipeline.measure.measure_options import MeasureOptions
from edgekit.pipeline.measure.model_on_device import (
    Answered,
    ModelOnDevice,
    answered,
    measuring,
    obtained,
    output_of,
    problem,
)
from edgekit.pipeline.plan import Options
from edgekit.pipeline.run import Run
from edgekit.pipeline.scores import figure, taken, takes_labels, truths
from edgekit.pipeline.selection import select_items
from edgekit.project import Project
from edgekit.types import CheckResult, Evaluated, Json, Measurement, Progress, Status, Verdict

WORST = 5
UNLABELLED = "the items have no labels"


def evaluate(
    project: Project,
    options: Options,
    source: str,
    measure_options: MeasureOptions,
    progress: Progress,
) -> Evaluated:
    """Score a model on every device asked for. Raises :class:`EdgekitError`.

    With several devices, one that cannot run it is a row; the only one's failure is an error.
    """
    with measuring(project, options, source, progress) as run:
        run.progress.expect(("models", "data", "evaluate"))
        with run.stage("models"):
            models = obtained(run, (source,), measure_options.devices, strict=False)
        first = next(model.subject for model in models if model.subject is not None)
        items = select_items(run, first.model, labelled=takes_labels(run), streaming=True)
        with run.stage("evaluate") as stage:
            strict = len(models) == 1
            models = tuple(
                answered(run, model, items, first.model, measure_options, strict)
                for model in models
            )
            models = tuple(scored(run, model, items, measure_options, strict) for model in models)
            stage.result = scores(models, items)
        checks = (*(runs(model) for model in models), *_unscored(models, items))
        status = worst_status(check.status for check in checks)
        looked = next(((g, g.answers) for g in models if g.answers is not None), None)
        return Evaluated(
            run=run.id,
            settings=settings(run, items, measure_options),
            models=tuple(model.measured for model in models),
            details=_details(*looked, items) if looked else {},
            slices=_slices(looked[1], items, measure_options) if looked else (),
            worst=_worst(*looked, items, measure_options) if looked else (),
            images=_images(items) if measure_options.pictures else None,
            advice=run.advices,
            verdict=Verdict(status, int(EXIT_CODES[status]), checks),
            drawn=details_of(run, "evaluate", first.model, models, items),
        )


def scores(models: Iterable[ModelOnDevice], items: Items) -> str:
    """Tell the metric of each model, in a few words."""
    return stage_results.scores(
        ((model.measured.id, model.measured.metric) for model in models), items
    )


def scored(
    run: Run, model: ModelOnDevice, items: Items, options: MeasureOptions, strict: bool = False
) -> ModelOnDevice:
    """Measure the model's metric. Outputs that are NaN or infinite make it a row without one."""
    answered = model.answered
    if answered is None:
        return model
    advise_clipped(run, answered.subject.source, answered.subject.model, answered.items)
    if items.metric.takes_labels and items.labels is None:
        return _unlabelled(model, answered, items)
    try:
        output = _output(answered, options.metric_output or items.output, items)
        answers = taken(run, answered.items, answered.outputs, output)
        metric = metrics.measure(items.metric, truths(items), answers)
        others = _others(run, answered, items, output)
    except RunnerError as error:
        if strict:
            raise
        failed = replace(
            model.measured, status=Status.INCOMPATIBLE, problem=problem(error), metric=None
        )
        return replace(model, measured=failed, outputs=None)
    measured = {
        name: figure(view, partial(metrics.measure, view.metric, truths(view), others[name]))
        for name, view in items.figures()
        if name in others
    }
    return replace(
        model,
        measured=replace(model.measured, metric=metric, outputs=measured),
        answers=answers,
        others=others,
    )


def _unlabelled(model: ModelOnDevice, answered: Answered, items: Items) -> ModelOnDevice:
    """Keep a model's answers without a metric: there are no labels."""
    outputs = answered.outputs
    output = items.output if items.output in outputs else next(iter(outputs))
    absent = Measurement.unavailable(items.metric.unit, UNLABELLED)
    answers = np.asarray(outputs[output])
    return replace(model, measured=replace(model.measured, metric=absent), answers=answers)


def _output(answered: Answered, named: str, items: Items) -> str:
    """Choose the headline's output; any, where a function of the user's takes them all."""
    if items.takes_all and named not in answered.outputs:
        return next(iter(answered.outputs))
    return output_of(answered, named)


def _others(run: Run, answered: Answered, items: Items, output: str) -> Mapping[str, Floats]:
    """Collect the answers for the headline's other metrics, and for other judged outputs."""
    theirs = dict(answered.items.figures())
    return {
        name: taken(run, theirs[name], answered.outputs, output if view.shown_only else "")
        for name, view in items.figures()
        if view is not items and (view.output in answered.outputs or view.shown_only)
    }


def _details(model: ModelOnDevice, answers: Floats, items: Items) -> Mapping[str, Json]:
    found = metrics.details(items.metric, truths(items), answers, items.class_names)
    if found is not None:
        return {"model": model.measured.id, **found.to_json()}
    parts = metrics.parts(items.metric, truths(items), answers, items.class_names)
    listed = [dataclasses.asdict(one) for one in parts]
    return {"model": model.measured.id, "parts": listed} if parts else {}


def _slices(
    answers: Floats, items: Items, options: MeasureOptions
) -> tuple[Mapping[str, Json], ...]:
    columns = dict(items.columns)
    if options.by_class and items.labels is not None:
        classes = metrics.true_class(items.labels)
        named = items.class_names
        columns["class"] = np.asarray(named)[classes] if named else classes
    return tuple(
        dataclasses.asdict(part)
        for name, column in columns.items()
        for part in slices(items.metric, truths(items), answers, column, name)
    )


def _worst(
    model: ModelOnDevice, answers: Floats, items: Items, options: MeasureOptions
) -> tuple[Mapping[str, Json], ...]:
    """List the worst items by their number in the data, with the file of each."""
    count = options.worst if options.worst is not None else items_shown(model)
    shown = worst(items.metric, truths(items), answers, count) if count else ()
    grouped = items.groups is not None
    return tuple(
        {
            **dataclasses.asdict(item),
            "item": item.item if grouped else int(items.index[item.item]),
            "name": str(items.names[item.item]) if items.names is not None else "",
            "label": called(item.label, items),
            "answer": called(item.answer, items),
        }
        for item in shown
    )


def items_shown(given: ModelOnDevice) -> int:
    """Return how many of the worst items are listed by default."""
    return min(WORST, given.measured.items)


def _images(items: Items) -> Path:
    """Return the raw items, where the model's only input takes pictures."""
    for path in items.inputs.values():
        if len(items.inputs) == 1 and np.load(path, mmap_mode="r").ndim in (3, 4):
            return path
    hint = "leave out --pictures"
    raise DataError("EK-DATA-044", "no input of the model is a picture", hint)


def _unscored(models: Sequence[ModelOnDevice], items: Items) -> Iterator[CheckResult]:
    """Yield a check for each metric that is unavailable, with its reason."""
    for measured in (model.measured for model in models if model.answered is not None):
        judged = {items.metric.name: measured.metric}
        judged |= {
            name: measured.outputs[name] for name, _ in items.views() if name in measured.outputs
        }
        for name, metric in judged.items():
            if metric is not None and metric.how == "unavailable":
                message, status = f"unavailable, because {metric.reason}", Status.UNAVAILABLE
                fix = "choose a metric that these items allow: --metric ([evaluate] metric)"
                yield CheckResult(name, measured.id, measured.device, status, message, fix=fix)


def runs(model: ModelOnDevice) -> CheckResult:
    """Check that the model ran on its device."""
    measured = model.measured
    message = measured.problem or f"answered {measured.items:,} items"
    fix = fixes.DEVICES if measured.status is Status.UNAVAILABLE else fixes.FIT
    fix = fixes.unless_passed(measured.status, fix)
    return CheckResult("runs", measured.id, measured.device, measured.status, message, fix=fix)


def settings(run: Run, items: Items, options: MeasureOptions) -> Mapping[str, Json]:
    """Collect what the figures depend on besides models and devices."""
    plan = run.plan.options
    return {
        **items.settings,
        "items": len(items.index),
        "groups": len(np.unique(items.groups)) if items.groups is not None else None,
        "limit": plan.limit,
        "seed": plan.seed,
        "preprocess": items.preprocess.arithmetic,
        "threads": options.threads or 1,
        "delegate": options.delegate,
        "arena": options.arena,
    }
