"""Which outputs of a model are judged, and by what: the headline's, and the others with labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit import data
from edgekit.errors import DataError, ProjectError
from edgekit.evaluation import metrics, texts
from edgekit.pipeline.run import Run
from edgekit.project import OutputTable
from edgekit.types import Advice, SavedModel, TensorSpec

Array = npt.NDArray[Any]
CODE = "EK-PROJECT-010"


@dataclass(frozen=True)
class JudgedOutput:
    """An output that is judged beside the headline's: its metric, its labels, its function.

    ``reader`` makes texts of it.
    """

    output: str
    metric: metrics.Metric
    labels: Array | None
    postprocess: str | None = None
    reader: texts.TextReader | None = None

    @property
    def name(self) -> str:
        """What its figures go by."""
        return f"{self.output}.{self.metric.name}"


@dataclass(frozen=True)
class OutputSelection:
    """The headline's output with its labels, and the labels of the others by output.

    ``output`` is empty where nothing says which it is. ``why`` says how it was chosen of several.
    """

    output: str
    labels: Array | None
    others: Mapping[str, Array | None]
    why: str = ""


def array_names(run: Run, reference: SavedModel) -> tuple[str, ...]:
    """List the arrays that may be labels: those named like outputs, and not like inputs."""
    inputs = {spec.name for spec in reference.inputs}
    stated = [one.labels for one in run.project.evaluate.outputs.values() if one.labels]
    names = [*(spec.name for spec in reference.outputs), *stated]
    return tuple(dict.fromkeys(name for name in names if name not in inputs and name != "y"))


def select_outputs(
    run: Run, dataset: data.Dataset, reference: SavedModel, labelled: bool
) -> OutputSelection:
    """Choose whose labels are judged, and which output gives the headline.

    Arrays named like outputs are their labels, ``y`` the headline's. Raises :class:`ProjectError`
    for an output that the model has not, :class:`DataError` where labels are missing that a metric
    needs: for the headline's only where ``labelled`` asks for them.
    """
    names = [spec.name for spec in reference.outputs]
    table = run.project.evaluate
    for name in (*([table.output] if table.output else []), *table.outputs):
        if name not in names:
            raise run.project.unknown("output", name, names)
    labels_by_output = _named(dataset, names, table.outputs)
    output, why = _headline(
        dataset, reference, table.output, tuple(table.outputs), labels_by_output
    )
    labels = labels_by_output.pop(output, None)
    if labels is None and (dataset.labels is not None or _needs(run, output, labelled)):
        labels = dataset.open_labels(texts=True)
    others: dict[str, Array | None] = {}
    for name in names:
        if name == output:
            continue
        if name in labels_by_output:
            others[name] = labels_by_output[name]
        elif name in table.outputs:
            if _needs(run, name, True):
                raise _unlabelled(dataset, name)
            others[name] = None
    return OutputSelection(output, labels, others, why)


def advise(
    run: Run, reference: SavedModel, picked: OutputSelection, metric: metrics.Metric
) -> None:
    """Note which of several outputs gives the headline, and which are not judged."""
    names = [spec.name for spec in reference.outputs]
    if len(names) == 1 or not picked.output:
        return
    also = f"; also judged: {', '.join(picked.others)}" if picked.others else ""
    message = f"the headline is {metric.name} of output {picked.output!r} ({picked.why}){also}"
    run.advise(Advice("EK-NOTE-060", "info", message, "--metric-output NAME takes another one"))
    left = [name for name in names if name != picked.output and name not in picked.others]
    every = run.project.evaluate.postprocess or metric.reads == "boxes"
    if left and metric.takes_labels and not every:
        listed = ", ".join(repr(name) for name in left)
        message = f"no metric is taken on {listed}: the data has no labels for it"
        fix = f"add an array called {left[0]!r} to the data"
        run.advise(Advice("EK-NOTE-061", "warning", message, fix))


def unclear(names: Sequence[str], whose: str = "the model") -> ProjectError:
    """Build the error for several outputs of which none is named for the metric."""
    message = f"{whose} has {len(names)} outputs: {', '.join(names)}, and none is named"
    hint = (
        f"say which one the metric is taken on: --metric-output {names[0]}; or call the arrays of"
        f" labels as the outputs are: {', '.join(names)}"
    )
    return ProjectError(CODE, message, hint)


def _named(
    dataset: data.Dataset, names: Sequence[str], tables: Mapping[str, OutputTable]
) -> dict[str, Array]:
    """Read the labels of every output whose array exists. Raises DataError where a stated one does
    not.
    """
    beside = dataset.beside or {}
    labels: dict[str, Array] = {}
    for name in names:
        stated = tables[name].labels if name in tables else None
        if stated == data.LABELS:
            labels[name] = dataset.open_labels(texts=True)
        elif (stated or name) in beside:
            labels[name] = np.load(beside[stated or name])
        elif stated is not None:
            raise _unlabelled(dataset, name, stated)
    return labels


def _headline(
    dataset: data.Dataset,
    reference: SavedModel,
    named: str | None,
    tables: Sequence[str],
    labelled: Mapping[str, Array],
) -> tuple[str, str]:
    """Choose the headline's output, and say why; empty where nothing decides between several."""
    if named is not None:
        return named, "as asked for"
    if len(reference.outputs) == 1:
        return reference.outputs[0].name, ""
    if tables:
        return tables[0], "the first in [evaluate.outputs]"
    if labelled:
        return next(iter(labelled)), "the first that has labels"
    if dataset.labels is not None:
        labels = np.load(dataset.labels)
        fitting = [spec.name for spec in reference.outputs if _fits(spec, labels)]
        if len(fitting) == 1:
            return fitting[0], "the only one that the labels y fit"
    return "", ""


def _fits(spec: TensorSpec, labels: Array) -> bool:
    """Tell whether labels can be an output's: class numbers below its classes, or its own shape."""
    shape, own = tuple(spec.shape[1:]), labels.shape[1:]
    while own[-1:] == (1,):
        own = own[:-1]
    flat = tuple(size for size in shape if size != 1)
    if labels.dtype.kind in "iub" and flat:
        classes = shape[-1]
        placed = own == tuple(shape[:-1]) or (not own and len(flat) == 1)
        if placed and classes is not None and labels.size and int(labels.max()) < classes:
            return True
    if labels.dtype.kind in "iub" and not flat and labels.size and not own:
        return int(labels.max()) <= 1
    return labels.dtype.kind == "f" and flat == tuple(size for size in own if size != 1)


def _needs(run: Run, output: str, labelled: bool) -> bool:
    """Tell whether an output's metric requires labels."""
    table = run.project.evaluate
    own = table.outputs.get(output)
    name = own.metric if own and own.metric else table.metric
    metric = metrics.find(name, run.project.root) if name else None
    return labelled and (metric is None or metric.takes_labels)


def _unlabelled(dataset: data.Dataset, output: str, stated: str = "") -> DataError:
    arrays = ", ".join(sorted({**dataset.arrays, **(dataset.beside or {})}))
    labels = ", y" if dataset.labels is not None else ""
    message = f"{dataset.source} has no labels {stated or output!r} for output {output!r}"
    hint = (
        f"it holds {arrays}{labels}: name an array like the output, or say which one it is:"
        f' [evaluate.outputs.{output}] labels = "ARRAY"'
    )
    return DataError("EK-DATA-005", message, hint)
