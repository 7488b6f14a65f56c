"""Batches to train on: a tf.data pipeline over arrays in files, from any step on.

Runs in the worker. What a step sees is a function of the seed and the step's number alone, so a
resumed training goes on with the very batches that it would have seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.data import LABELS, Dataset, match
from edgekit.data.preprocessing import apply
from edgekit.models.inputs import inputs_of
from edgekit.models.load import library
from edgekit.training.augment import Augmentation, Change, changes
from edgekit.types import Preprocess, TensorSpec

Array = npt.NDArray[Any]
Index = npt.NDArray[np.int64]
Structure = Callable[[Mapping[str, Any]], Any]


@dataclass(frozen=True)
class Aside:
    """What a model is validated on: items of the training data by number, in an ``.npy`` file, or
    data of its own. ``key`` tells one choice from another.
    """

    items: Path | None = None
    dataset: Dataset | None = None
    key: str = ""


@dataclass(frozen=True)
class Weights:
    """How much items count: by a column of the training data, by the number of their class."""

    column: str | None = None
    classes: tuple[float, ...] = ()


@dataclass(frozen=True)
class Training:
    """Labelled items to train on, how to scale them, and how to fit."""

    dataset: Dataset
    preprocess: Preprocess
    epochs: int
    batch_size: int
    seed: int
    aside: Aside = Aside()
    weights: Weights = Weights()
    augmentation: Augmentation | None = None


@dataclass(frozen=True)
class Column:
    """An array ``[N, ...]`` in a file or in memory, and what is done to a batch of its rows."""

    rows: Array
    prepare: Callable[[Array], Array]

    @property
    def first(self) -> Array:
        """The first row, as a batch of one."""
        return self.prepare(self.rows[:1])


@dataclass(frozen=True)
class Columns:
    """The arrays behind batches, by name; ``weights`` has one column, or none."""

    inputs: Mapping[str, Column]
    targets: Mapping[str, Column]
    weights: tuple[Column, ...] = ()


@dataclass(frozen=True)
class Feed:
    """The items of a training in batches, and those held out of it.

    ``pack`` and ``pack_targets`` turn tensors by name into the model's argument and its labels.
    ``items`` are numbers of rows of ``columns``, ``held_out`` of ``held_out_columns``. Nothing but
    the rows of a few batches is held in memory.
    """

    columns: Columns
    pack: Structure
    pack_targets: Structure
    items: Index
    held_out_columns: Columns
    held_out: Index
    batch_size: int
    seed: int
    changes: Mapping[str, Change]

    @classmethod
    def of(
        cls, model: Any, training: Training, held_out: int = 0, targets: Array | None = None
    ) -> Feed:
        """Feed a model with the items of a training, and build one that was not yet called.

        Where the training sets nothing aside, so many items are ``held_out``, chosen by the seed.
        ``targets`` ``[N, ...]`` take the place of the labels. Raises :class:`DataError` where items
        do not fit the model, or where there are no labels.
        """
        dataset, seed = training.dataset, training.seed
        inputs = inputs_of(model, described(dataset, training.preprocess))
        columns, structure = _columns(model, inputs.specs, training, dataset, targets)
        other = training.aside.dataset
        others = columns if other is None else _columns(model, inputs.specs, training, other)[0]
        items, aside = _division(training, held_out)
        firsts = {name: column.first for name, column in columns.inputs.items()}
        _build(model, inputs.pack(firsts))
        augmentation = training.augmentation
        return cls(
            columns=_weighted(columns, training),
            pack=inputs.pack,
            pack_targets=structure,
            items=items,
            held_out_columns=others,
            held_out=aside,
            batch_size=training.batch_size,
            seed=seed,
            changes=changes(augmentation, firsts, seed) if augmentation else {},
        )

    @property
    def count(self) -> int:
        """How many items an epoch has."""
        return len(self.items)

    @property
    def steps_per_epoch(self) -> int:
        """How many batches an epoch has; the last may be smaller."""
        return -(-self.count // self.batch_size)

    def batches(self, step: int, epochs: int) -> Any:
        """Return a ``tf.data.Dataset`` of the batches from a global step to the end.

        Each is ``(x, y)``, or ``(x, y, weights)`` where items weigh differently. Every epoch has
        all items once, in an order of its own: item ``i`` of epoch ``e`` is
        ``tf.random.experimental.index_shuffle(i, (seed, e))``.
        """
        import tensorflow as tf

        items = tf.constant(self.items)

        def chosen(number: Any) -> Any:
            epoch, within = number // self.steps_per_epoch, number % self.steps_per_epoch
            start = within * self.batch_size
            places = tf.range(start, tf.minimum(start + self.batch_size, self.count))
            seed = tf.cast(tf.stack([self.seed % (1 << 31), epoch]), tf.int32)
            most = tf.constant(self.count - 1, tf.int64)
            shuffled = tf.random.experimental.index_shuffle(places, seed=seed, max_index=most)
            return number, tf.gather(items, shuffled)

        steps = tf.data.Dataset.range(step, epochs * self.steps_per_epoch)
        return self._read(steps.map(chosen), self.columns, self.changes)

    def validation(self) -> Any | None:
        """Return a ``tf.data.Dataset`` of the items held out, in their order; None without any."""
        import tensorflow as tf

        if not len(self.held_out):
            return None
        chosen = tf.data.Dataset.from_tensor_slices(self.held_out).batch(self.batch_size)
        return self._read(chosen.enumerate(), self.held_out_columns, {})

    def _read(self, chosen: Any, of: Columns, changed: Mapping[str, Change]) -> Any:
        """Read the rows that a dataset of steps and item numbers names, ahead of the training."""
        import tensorflow as tf

        columns = [*of.inputs.values(), *of.targets.values(), *of.weights]
        firsts = [column.first for column in columns]
        dtypes = [first.dtype for first in firsts]

        def rows(index: Index) -> list[Array]:
            return [column.prepare(column.rows[index]) for column in columns]

        def read(step: Any, index: Any) -> Any:
            tensors = tf.numpy_function(rows, [index], dtypes, stateful=False)
            for tensor, first in zip(tensors, firsts, strict=True):
                tensor.set_shape((None, *first.shape[1:]))
            x = dict(zip(of.inputs, tensors, strict=False))
            x |= {name: change(x[name], step) for name, change in changed.items()}
            y = dict(zip(of.targets, tensors[len(x) :], strict=False))
            batch = (_tuples(self.pack(x)), self.pack_targets(y))
            if not of.weights:
                return batch
            return *batch, self.pack_targets(dict.fromkeys(y, tensors[-1]))

        parallel = chosen.map(read, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        return parallel.prefetch(tf.data.AUTOTUNE)


def described(dataset: Dataset, preprocess: Preprocess) -> Mapping[str, TensorSpec]:
    """Describe the arrays to train on, as inputs ``[N, ...]``; scaled ones are float32."""
    specs = {}
    for name in dataset.arrays:
        array = dataset.open(name)
        dtype = str(array.dtype) if preprocess.identity else "float32"
        specs[name] = TensorSpec(name, array.shape, dtype)
    return specs


def _columns(
    model: Any,
    specs: tuple[TensorSpec, ...],
    training: Training,
    dataset: Dataset,
    targets: Array | None = None,
) -> tuple[Columns, Structure]:
    """Return the columns of a dataset, and the structure of their labels."""
    arrays = match(dataset, specs, training.preprocess).inputs
    inputs = {
        spec.name: _input(np.load(arrays[spec.name], mmap_mode="r"), spec, training.preprocess)
        for spec in specs
    }
    labels, structure = _labels(model, dataset, targets)
    return Columns(inputs, labels), structure


def _input(rows: Array, spec: TensorSpec, preprocess: Preprocess) -> Column:
    return Column(rows, lambda raw: np.ascontiguousarray(apply(raw, spec, preprocess)))


def _division(training: Training, held_out: int) -> tuple[Index, Index]:
    """Return the numbers of the items to train on, and of those to validate on."""
    count = training.dataset.count
    if training.aside.dataset is not None:
        return np.arange(count), np.arange(training.aside.dataset.count)
    if training.aside.items is not None:
        aside = np.load(training.aside.items)
        return np.setdiff1d(np.arange(count), aside), aside
    order = np.random.default_rng(training.seed).permutation(count)
    return np.sort(order[held_out:]), np.sort(order[:held_out])


def _weighted(columns: Columns, training: Training) -> Columns:
    """Add the weights of items, where there are any: the column's times the class's."""
    weights, dataset = training.weights, training.dataset
    if weights == Weights():
        return columns
    found = np.ones(dataset.count, np.float32)
    if weights.column is not None:
        found *= dataset.columns([weights.column])[weights.column].astype(np.float32)
    if weights.classes:
        found *= np.asarray(weights.classes, np.float32)[dataset.open_labels().reshape(-1)]
    return replace(columns, weights=(Column(found, np.ascontiguousarray),))


def _tuples(structure: Any) -> Any:
    """Return a structure with tuples for lists, which tf.data takes for one tensor."""
    if isinstance(structure, Mapping):
        return {name: _tuples(value) for name, value in structure.items()}
    if isinstance(structure, (list, tuple)):
        return tuple(_tuples(value) for value in structure)
    return structure


def _labels(
    model: Any, dataset: Dataset, targets: Array | None
) -> tuple[Mapping[str, Column], Structure]:
    """Return the labels' columns, and their structure: one array, or a dict by output."""
    outputs = [str(name) for name in getattr(model, "output_names", None) or []]
    beside = dataset.beside or {}
    if targets is None and dataset.labels is None and outputs and set(outputs) <= set(beside):
        return {n: Column(np.load(beside[n], mmap_mode="r"), _as_keras) for n in outputs}, dict
    if targets is None:
        path = dataset.labels
        if path is None or np.load(path, mmap_mode="r").dtype.kind == "U":
            # It says what is wrong with them.
            dataset.open_labels()
        targets = np.load(path, mmap_mode="r")  # type: ignore[arg-type]
    return {LABELS: Column(targets, _as_keras)}, lambda tensors: tensors[LABELS]


def _as_keras(labels: Array) -> Array:
    """Return labels as Keras takes arrays: floats as float32, integers as they are."""
    dtype = np.float32 if labels.dtype.kind == "f" else labels.dtype
    return np.ascontiguousarray(labels, dtype)


def _build(model: Any, first: Any) -> None:
    """Make the variables of a model that was not yet called: saved state needs them to exist."""
    if getattr(model, "built", True):
        return
    if isinstance(model, library(model).Sequential):
        model.build((None, *first.shape[1:]))
    else:
        model(first)
