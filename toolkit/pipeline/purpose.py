"""What a run's outputs are for: the task, its metric, and whether labels can be the model's."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from edgekit import data
from edgekit.errors import DataError
from edgekit.evaluation import metrics, tasks
from edgekit.evaluation.texts import TextReader
from edgekit.pipeline.run import Run
from edgekit.types import SavedModel

# The metric of a run that judges nothing.
UNJUDGED = "accuracy"


def look_of(
    run: Run, reference: SavedModel, output: str, labels: npt.NDArray[Any] | None
) -> tasks.TaskEvidence | None:
    """Collect the evidence for an output's task: its shape and activation, and the labels."""
    outputs = {spec.name: spec for spec in reference.outputs}
    name = output or (next(iter(outputs)) if len(outputs) == 1 else "")
    if postprocess_of(run, output) or run.project.evaluate.postprocess or name not in outputs:
        return None
    return tasks.TaskEvidence(labels, outputs[name], reference.last.get(name, ""), reference.inputs)


def task_of(
    run: Run,
    output: str,
    labels: npt.NDArray[Any] | None,
    evidence: tasks.TaskEvidence | None,
    first: bool = False,
) -> tasks.Detected | None:
    """Decide an output's task: as named, as the metric says, or as labels and output look.

    What the project names without an output is the ``first`` one's, the headline's. Raises
    :class:`DataError` where they look like no task.
    """
    table, own = run.project.evaluate, run.project.evaluate.outputs.get(output)
    named = (own.task if own else None) or (table.task if first else None)
    if named is not None:
        return tasks.Detected(tasks.TASKS[named], "it is named so")
    metric = (own.metric if own else None) or (table.metric if first else None)
    if metric is not None:
        return tasks.of_metric(metrics.named(metric, run.project.root), evidence)
    if labels is None:
        return None
    if table.text.alphabet is not None and first:
        return tasks.Detected(tasks.TASKS["text"], "[evaluate.text] names its alphabet")
    return tasks.detect(evidence) if evidence is not None else tasks.of_labels(labels)


def metric_of(
    run: Run,
    output: str,
    task: tasks.Detected | None,
    first: bool = False,
    reader: TextReader | None = None,
) -> metrics.Metric:
    """Choose the metric that is named for an output, or its task's own; any where none judges.

    Texts without an alphabet have no words: what counts is tokens.
    """
    table, own = run.project.evaluate, run.project.evaluate.outputs.get(output)
    named = (own.metric if own else None) or (table.metric if first else None)
    if named is not None:
        return metrics.named(named, run.project.root)
    if reader is not None and not reader.spoken:
        return metrics.METRICS["cer"]
    return metrics.METRICS[task.task.metric if task is not None else UNJUDGED]


def beside_of(
    task: tasks.Detected | None, metric: metrics.Metric, reader: TextReader | None
) -> tuple[metrics.Metric, ...]:
    """Choose the task's other metrics, which are shown beside the one that judges."""
    if task is None or metric.reads not in task.task.reads:
        return ()
    names = [one for one in (task.task.metric, *task.task.beside) if one != metric.name]
    if reader is not None and not reader.spoken:
        names.remove("wer")
    return tuple(metrics.METRICS[one] for one in names)


def check_classes(
    run: Run, dataset: data.Dataset, task: tasks.Task, evidence: tasks.TaskEvidence
) -> None:
    """Refuse classes that may not be the model's. Raises :class:`DataError`."""
    outputs = evidence.sizes[-1] if "masks" in task.reads and evidence.sizes else evidence.width
    names = data.read_labels(run.project.data.labels, run.project.root)
    known = {"classes", "labels", "masks"} & set(task.reads)
    # One sigmoid is two classes, and integers name their classes themselves.
    if not known or outputs in (None, 1) or ("masks" in known and evidence.integers):
        return
    if twins := sorted({name for name in names if names.count(name) > 1}):
        message = f"class name {twins[0]!r} appears several times among the {len(names):,}"
        raise DataError("EK-DATA-018", message, "give each class a name of its own: one per output")
    if names and len(names) != outputs:
        message = f"there are {len(names):,} class names, the model gives {outputs:,} outputs"
        hint = "give one name per output, in the order of the outputs"
        if outputs == len(names) + 1:
            hint += "; is the first output 'background'? then it is the name missing at the top"
        raise DataError("EK-DATA-018", message, hint)
    if "classes" not in known:
        return
    if dataset.class_names and not names and len(dataset.class_names) != outputs:
        message = (
            f"{dataset.source} has {len(dataset.class_names)} classes, the model gives {outputs}"
            " values per item: which class is which output is not known"
        )
        hint = "name all the classes, in the order of the outputs: --labels FILE ([data] labels)"
        raise DataError("EK-DATA-018", message, hint)
    _check_numbers(dataset.source, evidence)


def _check_numbers(source: str, evidence: tasks.TaskEvidence) -> None:
    """Refuse class numbers that the model has no output for. Raises :class:`DataError`."""
    if not evidence.single or not evidence.whole:
        return
    low, high, outputs = int(evidence.per_item.min()), int(evidence.per_item.max()), evidence.width
    if low >= 0 and high < outputs:
        return
    message = f"{source}: labels are {low} to {high}, the model has {outputs} classes"
    hint = "labels count from 0: is this the data that the model was made for?"
    if low == 1 and high == outputs:
        hint = f"they count from 1, the outputs from 0 to {outputs - 1}: subtract 1 from the labels"
    raise DataError("EK-DATA-012", message, hint)


def postprocess_of(run: Run, output: str) -> str | None:
    """Return the user's function for one output, where the project has one."""
    own = run.project.evaluate.outputs.get(output)
    return own.postprocess if own else None
