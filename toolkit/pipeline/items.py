"""The items of a run: which calibrate, which are judged, matched to the model's inputs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edgekit import data
from edgekit.converters import flatbuffer
from edgekit.converters.rescaling import rescales
from edgekit.data import preprocessing
from edgekit.data.split import SAMPLES, SEED
from edgekit.errors import DataError
from edgekit.evaluation import metrics, tasks
from edgekit.evaluation.texts import TextReader
from edgekit.pipeline import carried, headline, streams, texts
from edgekit.pipeline.annotated import with_annotations
from edgekit.pipeline.purpose import (
    beside_of,
    check_classes,
    look_of,
    metric_of,
    postprocess_of,
    task_of,
)
from edgekit.pipeline.streams import Streams
from edgekit.project import RepresentativeTable
from edgekit.types import Advice, Json, Preprocess, SavedModel, TensorSpec

if TYPE_CHECKING:
    from edgekit.pipeline.run import Run

Index = npt.NDArray[np.int64]
FEWEST = 2


@dataclass(frozen=True)
class Items:
    """What a run judges by, and what it calibrates with.

    ``inputs`` are raw ``.npy`` files by input name, ``index`` the items of them that are judged
    (also on disk, at ``index_path``), ``labels`` theirs, and ``evaluated`` how many of them the
    metric is taken on: 0 where nothing is evaluated. ``columns`` are the judged items' slices
    by name and ``groups`` the group that each belongs to, where the project names them; ``names``
    is what the items are called, where they are files, and ``task`` what the model is for, except
    where a function of the user's judges it. ``output`` is the one that the metric is taken on,
    empty where nothing says which, ``postprocess`` the user's function for it, and ``others`` what
    else is judged. ``streams`` are the places of the index at which a stream begins, ``states`` the
    outputs that are carried on to inputs, by input. ``reader`` makes texts of the output, where
    labels are texts. ``representative``
    are preprocessed ``.npy`` files by input name, of the items ``representative_index`` of
    ``representative_source``.
    """

    inputs: Mapping[str, Path]
    index: Index
    index_path: Path
    labels: npt.NDArray[Any] | None
    evaluated: int
    digest: str
    metric: metrics.Metric
    preprocess: Preprocess
    class_names: tuple[str, ...]
    representative: Mapping[str, Path]
    representative_digest: str
    representative_count: int
    representative_source: data.Dataset | None = None
    representative_index: Index | None = None
    seed: int = SEED
    columns: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    groups: npt.NDArray[Any] | None = None
    names: npt.NDArray[Any] | None = None
    task: tasks.Detected | None = None
    output: str = ""
    postprocess: str | None = None
    others: tuple[headline.JudgedOutput, ...] = ()
    streams: tuple[int, ...] = ()
    states: Mapping[str, str] = field(default_factory=dict)
    reader: TextReader | None = None
    beside: tuple[metrics.Metric, ...] = ()
    shown_only: bool = False

    @property
    def key(self) -> dict[str, Json]:
        """What a store key must hold of the judged items: all that decides what a runner is fed."""
        return {
            "data": self.digest,
            "index": self.index_path.parent.name,
            "preprocess": self.preprocess.arithmetic,
            "streams": list(self.streams),
            "states": dict(self.states),
        }

    @property
    def judged(self) -> list[Json]:
        """What is judged, as reports tell it: the headline first."""
        return [
            {
                "name": name,
                "output": view.output,
                "metric": view.metric.name,
                "direction": view.metric.direction,
                "bounded": view.metric.bounded,
            }
            for name, view in self.views()
        ]

    @property
    def also_shown(self) -> list[Json]:
        """What else is taken of the headline's output, and judges nothing."""
        return [
            {"name": one.name, "direction": one.direction, "bounded": one.bounded}
            for one in self.beside
        ]

    @property
    def takes_all(self) -> bool:
        """Whether the metric is taken on what is made of all outputs, not on one of them."""
        return bool(self.postprocess) or self.metric.reads == "boxes"

    def figures(self) -> Iterator[tuple[str, Items]]:
        """Return what is measured: what is judged, and what else says something of the
        headline's.
        """
        yield from self.views()
        for metric in self.beside:
            yield metric.name, replace(self, metric=metric, others=(), beside=(), shown_only=True)

    def views(self) -> Iterator[tuple[str, Items]]:
        """Return what is judged, each by the name of its figures: the headline, then other
        outputs.
        """
        yield self.metric.name, self
        for one in self.others:
            groups = self.groups if one.metric.grouped else None
            yield (
                one.name,
                replace(
                    self,
                    output=one.output,
                    metric=one.metric,
                    labels=one.labels,
                    groups=groups,
                    postprocess=one.postprocess,
                    others=(),
                    beside=(),
                    task=None,
                    reader=one.reader,
                ),
            )


def select_items(
    run: Run, reference: SavedModel, labelled: bool = True, streaming: bool = False
) -> Items:
    """Open the evaluation and representative data, and set the two apart where they are one file.

    ``labelled`` says that items to judge by need labels, ``streaming`` that the model's state is
    carried on where the project asks for it. Raises :class:`DataError`.
    """
    project, plan = run.project, run.plan
    preprocess = project.data.preprocess.spec()
    with run.stage("data"):
        arrays = headline.array_names(run, reference)
        judged = with_annotations(run, _open(run, project.data.evaluate, reference.inputs, arrays))
        labels, groups = None, None
        picked = headline.OutputSelection(project.evaluate.output or "", None, {})
        beside: Mapping[str, npt.NDArray[Any]] = {}
        if judged and plan.options.evaluate:
            picked = headline.select_outputs(run, judged, reference, labelled)
            labels = texts.spelled(run, judged, picked.labels, reference, picked.output)
            beside = judged.columns(project.evaluate.slices)
            if project.evaluate.group is not None:
                groups = judged.columns([project.evaluate.group])[project.evaluate.group]
        look = look_of(run, reference, picked.output, labels)
        task = task_of(run, picked.output, labels, look, True)
        if judged and task is not None and look is not None:
            check_classes(run, judged, task.task, look)
        name = judged.source if judged else ""
        reader, labels = texts.read(run, reference, picked.output, labels, task, name, labelled)
        given = _given_states(run, reference, judged)
        order = None
        if judged and plan.options.evaluate and project.evaluate.stream:
            if streaming or (reference.states and not given and not reference.stateful):
                order = _streams(run, judged)
            else:
                streams.refuse(run)
        index, chosen, source, order = _choose(
            run, judged, labels, groups, reference.inputs, arrays, order
        )
        files, digest = _representative(run, reference, source, chosen)
        inputs: Mapping[str, Path] = {}
        if judged and plan.options.evaluate:
            inputs = _matched(run, judged, reference, preprocess)
        if order is not None:
            streams.tell(run, order)
        index_path = _keep_index(run, index)
        names = judged.names() if judged else None
        preprocess = _as_decoded(preprocess, judged, reference.inputs)
    metric = metric_of(run, picked.output, task, True, reader)
    others = tuple(_other(run, reference, name, own, index) for name, own in picked.others.items())
    headline.advise(run, reference, picked, metric)
    return Items(
        inputs=inputs,
        index=index,
        index_path=index_path,
        labels=labels[index] if labels is not None else None,
        evaluated=len(index) if inputs and (labels is not None or not metric.takes_labels) else 0,
        digest=judged.digest if judged else "",
        metric=metric,
        task=task,
        preprocess=preprocess,
        class_names=_names_of(run, judged, task),
        representative=files,
        representative_digest=digest,
        representative_count=len(chosen),
        representative_source=source,
        representative_index=chosen,
        columns={name: column[index] for name, column in beside.items()},
        groups=groups[index] if groups is not None else None,
        names=names[index] if names is not None else None,
        output=picked.output,
        postprocess=postprocess_of(run, picked.output) or project.evaluate.postprocess,
        others=others,
        streams=order.starts if order is not None else (),
        states=reference.carried(inputs),
        reader=reader,
        beside=beside_of(task, metric, reader) if groups is None else (),
    )


def _names_of(
    run: Run, judged: data.Dataset | None, task: tasks.Detected | None
) -> tuple[str, ...]:
    """Return what classes are called; texts are none."""
    if task is not None and task.task.name == texts.TASK:
        return ()
    return _class_names(run) or (judged.class_names if judged else ())


def _other(
    run: Run, reference: SavedModel, name: str, labels: npt.NDArray[Any] | None, index: Index
) -> headline.JudgedOutput:
    """Return an output that is judged beside the headline's."""
    task = task_of(run, name, labels, look_of(run, reference, name, labels))
    reader, labels = texts.read(run, reference, name, labels, task, name)
    return headline.JudgedOutput(
        name,
        metric_of(run, name, task, reader=reader),
        labels[index] if labels is not None else None,
        postprocess_of(run, name),
        reader,
    )


def _streams(run: Run, judged: data.Dataset) -> Streams:
    """Return the items to judge as streams. A limit takes the only one's first items, or whole
    streams.
    """
    limit, everything = run.plan.options.limit, np.arange(judged.count)
    column = _column(run, judged)
    if column is None:
        return streams.ordered(everything[:limit], None)
    items = _limited(run, everything, None, column)
    return streams.ordered(items, column[items])


def _column(run: Run, dataset: data.Dataset) -> npt.NDArray[Any] | None:
    """Return what tells streams apart, where the project names it and the data has it."""
    wanted = run.project.evaluate.stream
    return dataset.columns([wanted])[wanted] if isinstance(wanted, str) else None


def training_data(run: Run, inputs: tuple[TensorSpec, ...] = ()) -> data.Dataset | None:
    """Return the training data, where the project names any, for a model's inputs where it is
    known.
    """
    return _open(run, run.project.data.train, inputs)


def item_sizes(run: Run) -> Mapping[str, tuple[int, ...]]:
    """Return the shapes of single items by array name, as in the first data that the project
    names.
    """
    named = run.project.data
    representative = named.representative.from_ if named.representative else None
    others = None if representative in ("train", "evaluate") else representative
    for source in (named.evaluate, others, named.train):
        found = _open(run, source)
        if found is not None:
            return {
                name: np.load(path, mmap_mode="r").shape[1:] for name, path in found.arrays.items()
            }
    return {}


def _open(
    run: Run, source: str | None, inputs: tuple[TensorSpec, ...] = (), labels: tuple[str, ...] = ()
) -> data.Dataset | None:
    if source is None:
        return None
    table, judged = run.project.data, run.project.evaluate
    found, cached = data.open_source(
        source,
        run.project.root,
        run.store,
        run.free,
        table.preprocess.spec(),
        inputs=inputs,
        columns=(
            *judged.slices,
            *([judged.group] if judged.group else []),
            *labels,
            *([judged.stream] if isinstance(judged.stream, str) else []),
        ),
        label=table.label_column,
        class_names=_class_names(run),
        texts=texts.is_text_task(run),
    )
    run.note(cached)
    found = _with_own_inputs(found, inputs)
    for notice in found.notices:
        run.advise(Advice("EK-NOTE-002", "info", notice))
    return found


def _with_own_inputs(found: data.Dataset, inputs: tuple[TensorSpec, ...]) -> data.Dataset:
    """Return a dataset where an array called as labels are is an input, if the model's is so called
    and takes no other for it.
    """
    names = {spec.name for spec in inputs}
    single = len(names) == 1 and set(found.arrays) == {data.SINGLE}
    if data.LABELS not in names or found.labels is None or found.class_names or single:
        return found
    return replace(found, arrays={**found.arrays, data.LABELS: found.labels}, labels=None)


def _as_decoded(
    preprocess: Preprocess, dataset: data.Dataset | None, inputs: tuple[TensorSpec, ...]
) -> Preprocess:
    """Return the spec with the size, colours and layout that pictures were really brought to."""
    if dataset is None or dataset.pictures is None:
        stated = preprocess.layout is not None
        layout = data.images.resolved(preprocess, inputs).model_layout if stated else "nhwc"
        return replace(preprocess, model_layout=layout)
    return replace(dataset.pictures, scale=preprocess.scale, offset=preprocess.offset)


def _class_names(run: Run) -> tuple[str, ...]:
    return data.read_labels(run.project.data.labels, run.project.root)


def _choose(
    run: Run,
    judged: data.Dataset | None,
    labels: npt.NDArray[Any] | None,
    groups: npt.NDArray[Any] | None,
    inputs: tuple[TensorSpec, ...],
    arrays: tuple[str, ...],
    order: Streams | None,
) -> tuple[Index, Index, data.Dataset | None, Streams | None]:
    """Return items to judge, items to calibrate with, the dataset that the latter are from, and the
    streams that are judged.
    """
    everything = _limited(run, np.arange(judged.count if judged else 0), labels, groups)
    everything = order.order if order is not None else everything
    nothing = np.arange(0)
    if not run.plan.calibrated:
        return everything, nothing, None, order
    wanted = run.project.data.representative
    if wanted is None and run.project.compress.schemes and run.project.data.train is not None:
        # Training items are at hand: no evaluation item needs to be given up.
        wanted = RepresentativeTable.model_validate({"from": "train", "samples": SAMPLES})
    if wanted is None or wanted.from_ == "evaluate":
        if judged is None:
            return everything, nothing, None, None
        strata: npt.NDArray[Any] = labels if labels is not None else np.zeros(judged.count)
        samples = wanted.samples if wanted else SAMPLES
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
    name = run.project.data.train if wanted.from_ == "train" else wanted.from_
    source = _open(run, name, inputs, arrays)
    if source is None:
        return everything, nothing, None, None
    classes = np.load(source.labels) if source.labels else None
    chosen = data.choose(classes, source.count, wanted.samples)
    _enough(source.source, len(chosen))
    return everything, chosen, source, order


def _limited(
    run: Run, items: Index, labels: npt.NDArray[Any] | None, groups: npt.NDArray[Any] | None
) -> Index:
    """Return the items, or as many of them as the run is limited to, in their order.

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


def _matched(
    run: Run, dataset: data.Dataset, reference: SavedModel, preprocess: Preprocess
) -> Mapping[str, Path]:
    given = _given_states(run, reference, dataset)
    dataset = carried.without(dataset, reference, [spec.name for spec in given])
    try:
        found = data.match(dataset, (*reference.inputs, *given), preprocess)
    except DataError as error:
        raise carried.hinted(error, reference, dataset.arrays) from error
    for notice in found.notices:
        run.advise(Advice("EK-NOTE-002", "info", notice))
    if reference.is_tflite and rescales(flatbuffer.read(reference.path)):
        run.withdraw("EK-NOTE-002", data.UNSCALED)
    return found.inputs


def _given_states(
    run: Run, reference: SavedModel, dataset: data.Dataset | None
) -> tuple[TensorSpec, ...]:
    """Return the states that items are fed with as the data holds them: where nothing carries
    them on.
    """
    held = {**dataset.arrays, **(dataset.beside or {})} if dataset else {}
    if run.project.evaluate.stream:
        return ()
    return tuple(state.input for state in reference.states if state.input.name in held)


def _representative(
    run: Run, reference: SavedModel, source: data.Dataset | None, chosen: Index
) -> tuple[Mapping[str, Path], str]:
    if source is None:
        return {}, ""
    preprocess = run.project.data.preprocess.spec()
    arrays = _matched(run, source, reference, preprocess)
    key = run.key(
        data=source.digest,
        index=hashlib.sha256(chosen.tobytes()).hexdigest(),
        preprocess=preprocess.arithmetic,
        inputs=[[s.name, list(s.shape), s.dtype] for s in reference.inputs],
        **_states_key(run, reference),
    )
    column = _column(run, source) if reference.states else None
    order = streams.ordered(np.arange(source.count), column)
    fed = tuple(spec for spec in reference.all_inputs if spec.name in arrays)

    def make(folder: Path) -> Mapping[str, Any]:
        files = dict(preprocessing.write(arrays, chosen, fed, preprocess, folder))
        if set(files) != {spec.name for spec in reference.all_inputs}:
            files |= carried.write(run, reference, arrays, preprocess, order, chosen, folder)
        return {"files": files}

    artefact = run.keep(run.store.obtain("representative", key, make))
    files = {name: artefact.path / file for name, file in artefact.facts["files"].items()}
    return files, artefact.digest


def _states_key(run: Run, reference: SavedModel) -> Mapping[str, Any]:
    """Return what a store key must hold of states: which they are, and what ran to have them."""
    if not reference.states:
        return {}
    pairs, stream = dict(reference.carried()), run.project.evaluate.stream
    return {"states": pairs, "stream": stream, "model": reference.digest}


def _keep_index(run: Run, index: Index) -> Path:
    def make(folder: Path) -> Mapping[str, Any]:
        np.save(folder / "index.npy", index)
        return {}

    key = {"sha256": hashlib.sha256(index.tobytes()).hexdigest()}
    return run.store.obtain("index", key, make).path / "index.npy"
