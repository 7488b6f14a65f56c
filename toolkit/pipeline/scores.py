"""What a metric is taken of: an output, or what the user's function makes of all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace

import numpy as np

from edgekit.errors import DataError
from edgekit.evaluation import boxes, metrics, postprocess
from edgekit.evaluation.metrics.metric import Array
from edgekit.evaluation.parity import refuse_non_finite
from edgekit.gate import Rules
from edgekit.pipeline.items import Items
from edgekit.pipeline.run import Run
from edgekit.store import sha256
from edgekit.types import Json, Measurement
from edgekit.usercode import fingerprint, is_reference


def takes_labels(run: Run) -> bool:
    """Tell whether the metric needs labelled items: one of reconstruction does not."""
    table = run.project.evaluate
    headline = table.output or next(iter(table.outputs), "")
    own = table.outputs.get(headline)
    name = own.metric if own and own.metric else table.metric
    found = metrics.find(name, run.project.root) if name else None
    return found is None or found.takes_labels


def rules_of(run: Run, items: Items, max_drop: float | None = None) -> Rules:
    """Build the rules that the run is judged by, output by output; with ``max_drop`` if given.

    The largest drop of the command line holds for every metric in 0..1 where the headline's is one,
    else for the headline alone: others have other units.
    """
    rules = run.plan.rules(items.metric)
    if max_drop is not None:
        rules = replace(rules, max_drop=max_drop)
    others = tuple(
        Rules(
            metric=output.name,
            bounded=output.metric.bounded,
            higher_is_better=output.metric.direction == "higher",
            max_drop=rules.max_drop if output.metric.bounded and rules.bounded else None,
            output=output.output,
            by_itself=rules.by_itself,
        )
        for output in items.others
    )
    beside = tuple(
        Rules(
            metric=metric.name,
            bounded=metric.bounded,
            higher_is_better=metric.direction == "higher",
            output=items.output,
            by_itself=rules.by_itself,
        )
        for metric in items.beside
    )
    return replace(rules, others=others, output=items.output, beside=beside)


def taken(run: Run, items: Items, outputs: Mapping[str, Array], output: str = "") -> Array:
    """Shape the answers to the first n items as the metric takes them, one per group if any.

    Of ``output``, by default the one that the items are judged by. Raises :class:`RunnerError`
    where an output is NaN or infinite and the metric cannot stand it, :class:`ProjectError` where
    the user's function fails.
    """
    hook = items.postprocess
    if hook is not None:
        function = postprocess.resolve(hook, run.project.root, items.metric.reads in metrics.TEXTS)
        answers = postprocess.applied(function, outputs)
    elif items.metric.reads == "boxes":
        answers = _boxes(run, items, outputs)
    else:
        answers = np.asarray(outputs[output or items.output or next(iter(outputs))])
        if items.reader is not None:
            refuse_non_finite(answers, "the model's")
            answers = items.reader.outputs(answers)
        elif items.task is not None and items.task.task.answers is not None:
            answers = items.task.task.answers(answers)
    count = len(answers)
    inputs = {name: np.load(path, mmap_mode="r") for name, path in items.inputs.items()}
    groups = items.groups[:count] if items.groups is not None else None
    index, spec = items.index[:count], items.preprocess
    return np.asarray(metrics.prepared(items.metric, inputs, index, spec, answers, groups))


def box_spec(run: Run) -> boxes.BoxSpec:
    """Build the spec by which a detector's outputs are read, from the project."""
    table, root = run.project.evaluate.boxes, run.project.root
    anchors = np.load(root / table.anchors) if table.anchors else None
    return boxes.BoxSpec(**{**table.model_dump(), "anchors": anchors})


def _boxes(run: Run, items: Items, outputs: Mapping[str, Array]) -> Array:
    """Read the boxes in the outputs. Raises :class:`RunnerError` where one is not finite."""
    spec = box_spec(run)
    outputs = boxes.clear_unused(outputs, spec)
    for values in outputs.values():
        refuse_non_finite(values, "the model's")
    arrays = [np.load(path, mmap_mode="r") for path in items.inputs.values()]
    return boxes.decoded(outputs, spec, boxes.picture_size(arrays))


def figure(view: Items, make: Callable[[], Measurement]) -> Measurement:
    """Measure a metric; unavailable where it is only shown and the items do not allow it."""
    try:
        return make()
    except DataError as error:
        if not view.shown_only:
            raise
        return Measurement.unavailable(view.metric.unit, error.message)


def floor(items: Items, outputs: Mapping[str, Array], answers: Array) -> float:
    """Compute the smallest difference of the metric that float32 resolves at these answers."""
    if items.metric.bounded or items.shown_only:
        return 0.0
    first = next(iter(outputs))
    named = items.output if items.output in outputs else first
    raw = answers if items.postprocess else outputs[named]
    labels = truths(items, len(outputs[first]))
    return metrics.floor(items.metric, labels, answers, float(np.max(np.abs(raw))))


def truths(items: Items, count: int | None = None) -> Array | None:
    """Shape the first ``count`` items' labels as the metric takes them, one per group if any."""
    labels = items.labels[:count] if items.labels is not None else None
    if items.groups is None or labels is None:
        return labels
    return metrics.group_labels(items.metric, labels, items.groups[:count])


def metric_key(run: Run, items: Items) -> Json:
    """Build the part of a store key that identifies the metric."""
    table = run.project.evaluate
    named = [one.metric for one in table.outputs.values()]
    names = [items.metric.name, table.metric or "", *(name or "" for name in named)]
    judged = [[view.output, name, view.postprocess] for name, view in items.views()]
    hooks = [view.postprocess or "" for _, view in items.views()]
    code = [one for one in (*names, *hooks) if is_reference(one)]
    files = {one: dict(fingerprint(one, run.project.root)) for one in code}
    tasks = [view.task.task.name if view.task is not None else None for _, view in items.views()]
    anchors = sha256(run.project.root / table.boxes.anchors) if table.boxes.anchors else ""
    # Of an alphabet the tokens, not the name of its file.
    readers = [asdict(view.reader) if view.reader else None for _, view in items.views()]
    told = [table.boxes.model_dump(mode="json"), anchors, readers]
    shown = [metric.name for metric in items.beside]
    return [names, tasks, judged, table.group, files, told, shown]
