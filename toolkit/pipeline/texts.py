"""How a run's labels and outputs become texts, where the task is one of texts."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit import data
from edgekit.data.dataset import LABELS, object_error
from edgekit.errors import EdgekitError
from edgekit.evaluation import metrics, tasks
from edgekit.evaluation.texts import TextReader, TextSpec, read_alphabet, reader
from edgekit.pipeline.run import Run
from edgekit.types import Advice, SavedModel

Labels = npt.NDArray[Any]
TASK = "text"


def is_text_task(run: Run, output: str = "") -> bool:
    """Tell whether the project says that labels are texts: by task, metric or alphabet."""
    table, own = run.project.evaluate, run.project.evaluate.outputs.get(output)
    named = (own.task if own else None) or table.task
    name = (own.metric if own else None) or table.metric
    metric = metrics.find(name, run.project.root) if name and metrics.is_known(name) else None
    if named is not None or metric is not None:
        return named == TASK or (metric is not None and metric.reads in metrics.TEXTS)
    return table.text.alphabet is not None


def spelled(
    run: Run,
    dataset: data.Dataset | None,
    labels: Labels | None,
    reference: SavedModel,
    output: str,
) -> Labels | None:
    """Keep labels as strings where a table holds them so and the output is a sequence of tokens."""
    if dataset is None or labels is None or not dataset.class_names or labels.ndim != 1:
        return labels
    if labels.dtype.kind not in "iu" or dataset.pictures is not None:
        return labels
    sizes = [size for size in _sizes(reference, output) if size != 1]
    if not is_text_task(run, output) and len(sizes) < 2:
        return labels
    return np.asarray(dataset.class_names)[labels]


def read(
    run: Run,
    reference: SavedModel,
    output: str,
    labels: Labels | None,
    task: tasks.Detected | None,
    source: str,
    needed: bool = True,
) -> tuple[TextReader | None, Labels | None]:
    """Build the text reader of an output and read its labels as texts, where its task is texts.

    Labels that cannot be read as texts are none where they are not ``needed``, with a word. Raises
    as :func:`reader_of` does.
    """
    if labels is None:
        return None, None
    try:
        reader = reader_of(run, reference, output, labels, task, source)
    except EdgekitError as error:
        if needed:
            raise
        message = f"the labels are not read: {error.message}"
        run.advise(Advice("EK-NOTE-075", "warning", message, error.hint))
        return None, None
    return reader, labels if reader is None else reader.labels(labels)


def reader_of(
    run: Run,
    reference: SavedModel,
    output: str,
    labels: Labels | None,
    task: tasks.Detected | None,
    source: str,
) -> TextReader | None:
    """Build the text reader of an output; none for other tasks, or with a postprocess function.

    Raises :class:`DataError` where labels are strings and the task is another.
    """
    if task is None or task.task.name != TASK:
        if task is not None and labels is not None and labels.dtype.kind == "U":
            raise object_error(source, LABELS, str(labels.dtype))
        return None
    own = run.project.evaluate.outputs.get(output)
    if (own.postprocess if own else None) or run.project.evaluate.postprocess:
        return None
    spec = spec_of(run)
    last = reference.last.get(output, "")
    made = reader(spec, _sizes(reference, output), last, labels)
    if made.why:
        run.advise(Advice("EK-NOTE-074", "info", f"CTC: {made.why}"))
    return made


def spec_of(run: Run) -> TextSpec:
    """Return how the project says that texts are read."""
    table = run.project.evaluate.text
    return TextSpec(
        read_alphabet(table.alphabet, run.project.root),
        table.blank,
        table.merge,
        table.padding,
        table.space,
    )


def _sizes(reference: SavedModel, output: str) -> tuple[int | None, ...]:
    outputs = {spec.name: spec for spec in reference.outputs}
    spec = outputs.get(output, reference.outputs[0])
    return tuple(spec.shape[1:])
