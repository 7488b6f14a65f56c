"""Which items of the data are judged, and which calibrate."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit import data
from edgekit.data.split import SAMPLES
from edgekit.errors import DataError
from edgekit.evaluation import tasks
from edgekit.evaluation.metrics import Metric
from edgekit.evaluation.texts import TextReader
from edgekit.pipeline import headline, stage_results, streams, texts
from edgekit.pipeline.annotated import with_annotations
from edgekit.pipeline.datasets import as_decoded, class_names, open_data, stream_column
from edgekit.pipeline.items import Index, Items
from edgekit.pipeline.purpose import (
    beside_of,
    check_classes,
    look_of,
    metric_of,
    postprocess_of,
    task_of,
)
from edgekit.pipeline.representative import matched, representative, states_in_data
from edgekit.pipeline.run import Run
from edgekit.pipeline.streams import Streams
from edgekit.project import RepresentativeTable
from edgekit.types import Advice, SavedModel, TensorSpec

FEWEST = 2


@dataclass(frozen=True)
class _Labelled:
    """What the whole data says of its items: labels of the output they are judged by, columns.

    Nothing of it where no items are judged.
    """

    output: headline.OutputSelection
    labels: npt.NDArray[Any] | None
    groups: npt.NDArray[Any] | None
    beside: Mapping[str, npt.NDArray[Any]]
    names: npt.NDArray[Any] | None
    task: tasks.Detected | None
    reader: TextReader | None

    def at(self, index: Index) -> _Labelled:
        """Return the same of these items."""
        return replace(
            self,
            labels=self.labels[index] if self.labels is not None else None,
            groups=self.groups[index] if self.groups is not None else None,
            beside={name: column[index] for name, column in self.beside.items()},
            names=self.names[index] if self.names is not None else None,
        )


def select_items(
    run: Run, reference: SavedModel, labelled: bool = True, streaming: bool = False
) -> Items:
    """Open the evaluation and representative data, and set the two apart where they are one file.

    ``labelled`` says that items to judge by need labels, ``streaming`` that the model's state is
    carried on where the project asks for it. Raises :class:`DataError`.
    """
    with run.stage("data") as stage:
        arrays = headline.array_names(run, reference)
        dataset = open_data(run, run.project.data.evaluate, reference.inputs, arrays)
        judged = with_annotations(run, dataset, run.project.data.annotations)
        every = _labelled(run, judged, reference, labelled)
        order = _streams(run, judged, reference, streaming)
        index, chosen, source, order = _choose(run, judged, every, reference.inputs, arrays, order)
        files, digest = representative(run, reference, source, chosen)
        inputs = _matched(run, judged, reference)
        streams.tell(run, order)
        stage.result = stage_results.data(len(index) if judged else 0, len(chosen))
    own, picked = every.at(index), every.output
    metric = metric_of(run, picked.output, own.task, True, own.reader)
    others = tuple(_other(run, reference, name, one, index) for name, one in picked.others.items())
    headline.advise(run, reference, picked, metric)
    return Items(
        inputs=inputs,
        index=index,
        index_path=_keep_index(run, index),
        labels=own.labels,
        evaluated=_count_evaluated(index, inputs, own, metric),
        digest=judged.digest if judged else "",
        metric=metric,
        task=own.task,
        preprocess=as_decoded(run.project.data.preprocess.spec(), judged, reference.inputs),
        class_names=_names_of(run, judged, own.task),
        representative=files,
        representative_digest=digest,
        representative_count=len(chosen),
        representative_source=source,
        representative_index=chosen,
        columns=own.beside,
        groups=own.groups,
        names=own.names,
        output=picked.output,
        postprocess=postprocess_of(run, picked.output) or run.project.evaluate.postprocess,
        others=others,
        streams=order.starts if order is not None else (),
        states=reference.carried(inputs),
        reader=own.reader,
        beside=beside_of(own.task, metric, own.reader) if own.groups is None else (),
    )


def _labelled(
    run: Run, judged: data.Dataset | None, reference: SavedModel, labelled: bool
) -> _Labelled:
    """Read labels, groups and columns of the data, and detect the task."""
    table = run.project.evaluate
    labels, groups = None, None
    picked = headline.OutputSelection(table.output or "", None, {})
    beside: Mapping[str, npt.NDArray[Any]] = {}
    if judged and run.plan.options.evaluate:
        picked = headline.select_outputs(run, judged, reference, labelled)
        labels = texts.spelled(run, judged, picked.labels, reference, picked.output)
        beside = judged.columns(table.slices)
        if table.group is not None:
            groups = judged.columns([table.group])[table.group]
    look = look_of(run, reference, picked.output, labels)
    task = task_of(run, picked.output, labels, look, True)
    if judged and task is not None and look is not None:
        check_classes(run, judged, task.task, look)
    name = judged.source if judged else ""
    reader, labels = texts.read(run, reference, picked.output, labels, task, name, labelled)
    names = judged.names() if judged else None
    return _Labelled(picked, labels, groups, beside, names, task, reader)


def _count_evaluated(
    index: Index, inputs: Mapping[str, object], own: _Labelled, metric: Metric
) -> int:
    """Return how many items a metric is taken of."""
    return len(index) if inputs and (own.labels is not None or not metric.takes_labels) else 0


def _names_of(
    run: Run, judged: data.Dataset | None, task: tasks.Detected | None
) -> tuple[str, ...]:
    """Return the names of the classes; texts have none."""
    if task is not None and task.task.name == texts.TASK:
        return ()
    return class_names(run) or (judged.class_names if judged else ())


def _other(
    run: Run, reference: SavedModel, name: str, labels: npt.NDArray[Any] | None, index: Index
) -> headline.JudgedOutput:
    """Describe an output that is judged beside the headline's."""
    task = task_of(run, name, labels, look_of(run, reference, name, labels))
    reader, labels = texts.read(run, reference, name, labels, task, name)
    return headline.JudgedOutput(
        name,
        metric_of(run, name, task, reader=reader),
        labels[index] if labels is not None else None,
        postprocess_of(run, name),
        reader,
    )


def _matched(run: Run, judged: data.Dataset | None, reference: SavedModel) -> Mapping[str, Path]:
    """Return raw files by input, where the items are evaluated."""
    if judged is None or not run.plan.options.evaluate:
        return {}
    return matched(run, judged, reference, run.project.data.preprocess.spec())


def _streams(
    run: Run, judged: data.Dataset | None, reference: SavedModel, streaming: bool
) -> Streams | None:
    """Return the items to judge as streams, where the project asks for them.

    A limit takes the only one's first items, or whole streams.
    """
    table = run.project.evaluate
    if judged is None or not run.plan.options.evaluate or not table.stream:
        return None
    fed = states_in_data(run, reference, judged)
    if not streaming and (reference.stateful or fed or not reference.states):
        streams.refuse(run)
        return None
    everything, column = np.arange(judged.count), stream_column(run, judged)
    if column is None:
        return streams.ordered(everything[: run.plan.options.limit], None)
    items = _limited(run, everything, None, column)
    return streams.ordered(items, column[items])


def _choose(
    run: Run,
    judged: data.Dataset | None,
    every: _Labelled,
    inputs: tuple[TensorSpec, ...],
    arrays: tuple[str, ...],
    order: Streams | None,
) -> tuple[Index, Index, data.Dataset | None, Streams | None]:
    """Choose items to judge, items to calibrate with and the dataset of those, and the streams."""
    labels, groups = every.labels, every.groups
    everything = _limited(run, np.arange(judged.count if judged else 0), labels, groups)
    everything = order.order if order is not None else everything
    nothing = np.arange(0)
    if not run.plan.calibrated:
        return everything, nothing, None, order
    table = run.project.data.representative
    if table is None and run.project.compress.schemes and run.project.data.train is not None:
        # Training items are at hand: no evaluation item needs to be given up.
        table = RepresentativeTable.model_validate({"from": "train", "samples": SAMPLES})
    if table is None or table.from_ == "evaluate":
        if judged is None:
            return everything, nothing, None, None
        strata: npt.NDArray[Any] = labels if labels is not None else np.zeros(judged.count)
        samples = table.samples if table else SAMPLES
        parts = data.split(strata, samples)
        if order is not None:
            first, order = order.set_apart(samples)
            parts = data.Split(first.order, order.order)
        apart, rest = len(parts.representative), len(parts.evaluation)
        message = (
            f"{apart} items of {judged.source} are set apart for calibration;"
            f" the metric is taken on the other {rest:,}"
        )
        run.advise(Advice("EK-NOTE-001", "info", message))
        _enough(judged.source, apart)
        left = parts.evaluation
        left = left if order is not None else _limited(run, left, labels, groups)
        return left, parts.representative, judged, order
    name = run.project.data.train if table.from_ == "train" else table.from_
    source = open_data(run, name, inputs, arrays)
    if source is None:
        return everything, nothing, None, None
    classes = np.load(source.labels) if source.labels else None
    chosen = data.choose(classes, source.count, table.samples)
    _enough(source.source, len(chosen))
    return everything, chosen, source, order


def _limited(
    run: Run, items: Index, labels: npt.NDArray[Any] | None, groups: npt.NDArray[Any] | None
) -> Index:
    """Draw as many items as the run is limited to, in their order.

    They are drawn with the run's seed, each class in proportion; of groups whole ones, in an order
    drawn so, while they fit (the first always).
    """
    limit, seed = run.plan.options.limit, run.plan.options.seed
    if limit is None or limit >= len(items):
        return items
    if groups is None:
        strata = labels[items] if labels is not None else None
        return items[data.choose(strata, len(items), limit, seed)]
    _, numbers, sizes = np.unique(groups[items], return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(sizes))
    fitting = np.cumsum(sizes[order]) <= limit
    fitting[0] = True
    return items[np.isin(numbers, order[fitting])]


def _enough(source: str, count: int) -> None:
    if count < FEWEST:
        hint = "calibration needs varied real items: 100 to 500 are usual"
        message = f"{source} gives a representative dataset of {count} items"
        raise DataError("EK-DATA-015", message, hint)


def _keep_index(run: Run, index: Index) -> Path:
    def make(folder: Path) -> Mapping[str, Any]:
        np.save(folder / "index.npy", index)
        return {}

    key = {"sha256": hashlib.sha256(index.tobytes()).hexdigest()}
    return run.store.obtain("index", key, make).path / "index.npy"
