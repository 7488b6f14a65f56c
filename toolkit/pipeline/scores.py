"""What a metric is taken of: an output, or what the user's function makes of all of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgekit.evaluation import metrics, postprocess
from edgekit.evaluation.metrics.metric import Array
from edgekit.pipeline.run import Run
from edgekit.pipeline.supply import Items
from edgekit.types import Json
from edgekit.usercode import fingerprint, is_reference


def takes_labels(run: Run) -> bool:
    """Whether the metric needs labelled items: one of reconstruction does not."""
    name = run.project.evaluate.metric
    found = metrics.find(name, run.project.root) if name else None
    return found is None or found.takes_labels


def taken(run: Run, items: Items, outputs: Mapping[str, Array], output: str) -> Array:
    """The answers ``[n, ...]`` to the first n items as the metric takes them, one per group if any.

    Raises :class:`RunnerError` where an output is NaN or infinite and the metric cannot stand it,
    :class:`ProjectError` where the user's function fails.
    """
    hook = run.project.evaluate.postprocess
    if hook is not None:
        answers = postprocess.applied(postprocess.resolve(hook, run.project.root), outputs)
    else:
        answers = np.asarray(outputs[output])
    count = len(answers)
    inputs = {name: np.load(path, mmap_mode="r") for name, path in items.inputs.items()}
    groups = items.groups[:count] if items.groups is not None else None
    index, spec = items.index[:count], items.preprocess
    return np.asarray(metrics.prepared(items.metric, inputs, index, spec, answers, groups))


def truths(items: Items, count: int | None = None) -> Array | None:
    """The labels of the first ``count`` items as the metric takes them, one per group if any."""
    labels = items.labels[:count] if items.labels is not None else None
    if items.groups is None or labels is None:
        return labels
    return metrics.group_labels(items.metric, labels, items.groups[:count])


def metric_key(run: Run, items: Items) -> Json:
    """What a store key must hold of the metric: all that decides what it gives for answers."""
    table = run.project.evaluate
    name = table.metric or items.metric.name
    code = [one for one in (name, table.postprocess or "") if is_reference(one)]
    files = {one: dict(fingerprint(one, run.project.root)) for one in code}
    return [name, table.output, table.postprocess, table.group, files]
