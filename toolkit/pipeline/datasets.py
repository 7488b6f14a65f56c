"""The data that a project names, opened for a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit import data
from edgekit.pipeline import texts
from edgekit.pipeline.annotated import with_annotations
from edgekit.pipeline.run import Run
from edgekit.types import Advice, Model, Preprocess, TensorSpec
from edgekit.usercode import is_file, is_reference

# Arrays as they are: their shapes are no matter of decoding.
ARRAYS = (".npz", ".npy")


def training_data(run: Run, inputs: tuple[TensorSpec, ...] = ()) -> data.Dataset | None:
    """Open the training data, where the project names any, with its annotations; ``inputs`` are
    the model's.
    """
    table = run.project.data
    return with_annotations(run, open_data(run, table.train, inputs), table.train_annotations)


def item_sizes(run: Run) -> Mapping[str, tuple[int, ...]]:
    """Read the shape of an item by array name, in the first data that the project names."""
    named = run.project.data
    representative = named.representative.from_ if named.representative else None
    others = None if representative in ("train", "evaluate") else representative
    for source in (named.evaluate, others, named.train):
        dataset = open_data(run, source)
        if dataset is not None:
            return {
                name: np.load(path, mmap_mode="r").shape[1:]
                for name, path in dataset.arrays.items()
            }
    return {}


def judged_early(run: Run) -> data.Dataset | None:
    """Open the items to judge by before the model is known, where they are arrays as they are."""
    source = run.project.data.evaluate
    if source is None or not run.plan.options.evaluate:
        return None
    if not (is_reference(source) or Path(source).suffix in ARRAYS):
        return None
    return open_data(run, source)


def check_early(run: Run, model: Model) -> None:
    """Refuse items that a model cannot take, where its file tells its inputs: before it is loaded
    and exported. Raises :class:`DataError`.
    """
    table = run.project.data
    named = table.representative.from_ if table.representative else None
    others = None if named in ("train", "evaluate") else named
    for source in dict.fromkeys((table.evaluate, others)):
        if not model.inputs or source is None or is_reference(source):
            continue
        if Path(source).suffix in ARRAYS:
            if (dataset := open_data(run, source, model.inputs)) is not None:
                data.check_items(dataset, model.inputs)
        elif data.is_picture_folder(run.project.root / source):
            data.check_pictures(source, table.preprocess.spec(), model.inputs)


def open_data(
    run: Run, source: str | None, inputs: tuple[TensorSpec, ...] = (), labels: tuple[str, ...] = ()
) -> data.Dataset | None:
    """Open a source of data with all columns that the project judges by; nothing without one."""
    if source is None:
        return None
    table, judged = run.project.data, run.project.evaluate
    dataset, cached = data.open_source(
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
            *(name for name in (table.group, run.project.train.sample_weights) if name),
            *([judged.stream] if isinstance(judged.stream, str) else []),
        ),
        label=table.label_column,
        class_names=class_names(run),
        texts=texts.is_text_task(run),
        seconds=table.seconds,
        types=table.types,
    )
    run.note(cached)
    dataset = _with_own_inputs(dataset, inputs)
    for notice in dataset.notices:
        run.advise(Advice("EK-NOTE-002", "info", notice))
    return dataset


def _with_own_inputs(dataset: data.Dataset, inputs: tuple[TensorSpec, ...]) -> data.Dataset:
    """Take the labels as an input, where the model's input has their name and no other fits."""
    names = {spec.name for spec in inputs}
    single = len(names) == 1 and set(dataset.arrays) == {data.SINGLE}
    if data.LABELS not in names or dataset.labels is None or dataset.class_names or single:
        return dataset
    return replace(dataset, arrays={**dataset.arrays, data.LABELS: dataset.labels}, labels=None)


def as_decoded(
    preprocess: Preprocess, dataset: data.Dataset | None, inputs: tuple[TensorSpec, ...]
) -> Preprocess:
    """Set the size, colours and layout that pictures were decoded to."""
    if dataset is None or dataset.pictures is None:
        stated = preprocess.layout is not None
        layout = data.images.resolved(preprocess, inputs).model_layout if stated else "nhwc"
        return replace(preprocess, model_layout=layout)
    return replace(dataset.pictures, scale=preprocess.scale, offset=preprocess.offset)


def class_names(run: Run) -> tuple[str, ...]:
    """Read what the project calls the classes; where it does not say, and trains on a folder for
    each class, their names: the model's outputs are in that order. Else empty.
    """
    table, root = run.project.data, run.project.root
    if table.labels is None and table.train is not None and run.plan.model is None:
        return data.class_folders(root / table.train) if is_file(table.train) else ()
    return data.read_labels(table.labels, root)


def stream_column(run: Run, dataset: data.Dataset) -> npt.NDArray[Any] | None:
    """Return the column that tells streams apart, where the project names one."""
    name = run.project.evaluate.stream
    return dataset.columns([name])[name] if isinstance(name, str) else None
