"""A model on devices: its metric with an interval, details by class, slices, the worst items."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from edgekit.errors import DataError, RunnerError
from edgekit.evaluation import metrics
from edgekit.evaluation.parity import Floats
from edgekit.evaluation.slices import slices
from edgekit.evaluation.worst import worst
from edgekit.gate.statuses import EXIT_CODES
from edgekit.gate.statuses import worst as worst_status
from edgekit.pipeline.clipping import advise_clipped
from edgekit.pipeline.items import Items, select_items
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
from edgekit.project import Project
from edgekit.types import CheckResult, Evaluated, Json, Measurement, Progress, Status, Verdict

WORST = 5
UNLABELLED = "the items have no labels"


def evaluate(
    project: Project, options: Options, source: str, asked: MeasureOptions, progress: Progress
) -> Evaluated:
    """Score a model on every device asked for. Raises :class:`EdgekitError`.

    With several devices, one that cannot run it is a row; the only one's failure is an error.
    """
    with measuring(project, options, source, progress) as run:
        found = obtained(run, (source,), asked.devices, strict=False)
        first = next(one.subject for one in found if one.subject is not None)
        items = select_items(run, first.model, labelled=takes_labels(run), streaming=True)
        with run.stage("evaluate"):
            strict = len(found) == 1
            found = tuple(answered(run, one, items, first.model, asked, strict) for one in found)
            found = tuple(scored(run, one, items, asked, strict) for one in found)
        checks = (*(runs(one) for one in found), *_unscored(found, items))
        status = worst_status(check.status for check in checks)
        looked = next(((g, g.answers) for g in found if g.answers is not None), None)
        return Evaluated(
            run=run.id,
            settings=settings(run, items, asked),
            models=tuple(one.measured for one in found),
            details=_details(*looked, items) if looked else {},
            slices=_slices(looked[1], items, asked) if looked else (),
            worst=_worst(*looked, items, asked) if looked else (),
            images=_images(items) if asked.pictures else None,
            advice=run.advices,
            verdict=Verdict(status, int(EXIT_CODES[status]), checks),
        )


def scored(
    run: Run, given: ModelOnDevice, items: Items, asked: MeasureOptions, strict: bool = False
) -> ModelOnDevice:
    """Return the model's metric. Outputs that are NaN or infinite make it a row without one."""
    answered = given.answered
    if answered is None:
        return given
    advise_clipped(run, answered.subject.source, answered.subject.model, answered.items)
    if items.metric.takes_labels and items.labels is None:
        return _unlabelled(given, answered, items)
    try:
        output = _output(answered, asked.metric_output or items.output, items)
        answers = taken(run, answered.items, answered.outputs, output)
        found = metrics.measure(items.metric, truths(items), answers)
        others = _others(run, answered, items, output)
    except RunnerError as error:
        if strict:
            raise
        failed = replace(
            given.measured, status=Status.INCOMPATIBLE, problem=problem(error), metric=None
        )
        return replace(given, measured=failed, outputs=None)
    measured = {
        name: figure(view, partial(metrics.measure, view.metric, truths(view), others[name]))
        for name, view in items.figures()
        if name in others
    }
    return replace(
        given,
        measured=replace(given.measured, metric=found, outputs=measured),
        answers=answers,
        others=others,
    )


def _unlabelled(given: ModelOnDevice, answered: Answered, items: Items) -> ModelOnDevice:
    """Return the answers of a model without a metric: there is nothing to take it against."""
    outputs = answered.outputs
    output = items.output if items.output in outputs else next(iter(outputs))
    absent = Measurement.unavailable(items.metric.unit, UNLABELLED)
    answers = np.asarray(outputs[output])
    return replace(given, measured=replace(given.measured, metric=absent), answers=answers)


def _output(answered: Answered, wanted: str, items: Items) -> str:
    """Return the headline's output; any, where a function of the user's takes them all."""
    if items.takes_all and wanted not in answered.outputs:
        return next(iter(answered.outputs))
    return output_of(answered, wanted)


def _others(run: Run, answered: Answered, items: Items, output: str) -> Mapping[str, Floats]:
    """Return what the headline's other metrics are taken of, and those of other outputs that are
    there.
    """
    theirs = dict(answered.items.figures())
    return {
        name: taken(run, theirs[name], answered.outputs, output if view.shown_only else "")
        for name, view in items.figures()
        if view is not items and (view.output in answered.outputs or view.shown_only)
    }


def _details(given: ModelOnDevice, answers: Floats, items: Items) -> Mapping[str, Json]:
    found = metrics.details(items.metric, truths(items), answers, items.class_names)
    if found is not None:
        return {"model": given.measured.id, **found.to_json()}
    parts = metrics.parts(items.metric, truths(items), answers, items.class_names)
    listed = [dataclasses.asdict(one) for one in parts]
    return {"model": given.measured.id, "parts": listed} if parts else {}


def _slices(answers: Floats, items: Items, asked: MeasureOptions) -> tuple[Mapping[str, Json], ...]:
    columns = dict(items.columns)
    if asked.by_class and items.labels is not None:
        classes = metrics.true_class(items.labels)
        named = items.class_names
        columns["class"] = np.asarray(named)[classes] if named else classes
    return tuple(
        dataclasses.asdict(one)
        for name, column in columns.items()
        for one in slices(items.metric, truths(items), answers, column, name)
    )


def _worst(
    given: ModelOnDevice, answers: Floats, items: Items, asked: MeasureOptions
) -> tuple[Mapping[str, Json], ...]:
    """Return the worst items by their number in the data, with their file where they are files."""
    count = asked.worst if asked.worst is not None else items_shown(given)
    found = worst(items.metric, truths(items), answers, count) if count else ()
    grouped = items.groups is not None
    return tuple(
        {
            **dataclasses.asdict(one),
            "item": one.item if grouped else int(items.index[one.item]),
            "name": str(items.names[one.item]) if items.names is not None else "",
            "label": _called(one.label, items),
            "answer": _called(one.answer, items),
        }
        for one in found
    )


def items_shown(given: ModelOnDevice) -> int:
    """Tell how many of the worst items are listed where nobody says."""
    return min(WORST, given.measured.items)


def _called(value: int | float | str | None, items: Items) -> Json:
    """Return a class by its name, where classes have names."""
    known = isinstance(value, int) and 0 <= value < len(items.class_names)
    return items.class_names[int(value or 0)] if known else value


def _images(items: Items) -> Path:
    """Return the raw items, where the model's only input takes pictures."""
    for path in items.inputs.values():
        if len(items.inputs) == 1 and np.load(path, mmap_mode="r").ndim in (3, 4):
            return path
    hint = "leave out --pictures"
    raise DataError("EK-DATA-044", "the model takes no pictures that could be drawn", hint)


def _unscored(found: Sequence[ModelOnDevice], items: Items) -> Iterator[CheckResult]:
    """Return a check for each metric that could not be had of answers, with its reason."""
    for one in (given.measured for given in found if given.answered is not None):
        judged = {items.metric.name: one.metric}
        judged |= {name: one.outputs[name] for name, _ in items.views() if name in one.outputs}
        for name, metric in judged.items():
            if metric is not None and metric.how == "unavailable":
                message = f"unavailable, because {metric.reason}"
                yield CheckResult(name, one.id, one.device, Status.UNAVAILABLE, message)


def runs(given: ModelOnDevice) -> CheckResult:
    """Tell whether the model ran on its device, as a check."""
    one = given.measured
    message = one.problem or f"answered {one.items:,} items"
    return CheckResult("runs", one.id, one.device, one.status, message)


def settings(run: Run, items: Items, asked: MeasureOptions) -> Mapping[str, Json]:
    """Return what the figures depend on besides models and devices."""
    options = run.plan.options
    return {
        "task": items.task.facts if items.task else None,
        "metric": items.metric.name,
        "direction": items.metric.direction,
        "bounded": items.metric.bounded,
        "outputs": items.judged,
        "beside": items.also_shown,
        "items": len(items.index),
        "groups": len(np.unique(items.groups)) if items.groups is not None else None,
        "limit": options.limit,
        "seed": options.seed,
        "preprocess": items.preprocess.arithmetic,
        "threads": asked.threads or 1,
        "delegate": asked.delegate,
        "arena": asked.arena,
    }
