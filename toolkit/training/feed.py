"""Batches to train on: a tf.data pipeline over arrays in files, from any step on.

Runs in the worker. What a step sees is a function of the seed and the step's number alone, so a
resumed training goes on with the very batches that it would have seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.data import LABELS, Dataset, match
from edgekit.data.preprocessing import apply
from edgekit.models.inputs import inputs_of
from edgekit.models.load import library
from edgekit.types import Preprocess, TensorSpec

Array = npt.NDArray[Any]
Index = npt.NDArray[np.int64]
Structure = Callable[[Mapping[str, Any]], Any]


@dataclass(frozen=True)
class Training:
    """Labelled items to train on, how to scale them, and how to fit."""

    dataset: Dataset
    preprocess: Preprocess
    epochs: int
    batch_size: int
    seed: int


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
class Feed:
    """The items of a training in batches, and those held out of it.

    ``inputs`` and ``targets`` are columns by name; ``pack`` and ``pack_targets`` turn tensors by
    name into the model's argument and its labels. ``items`` and ``held_out`` are item numbers.
    Nothing but the rows of a few batches is held in memory.
    """

    inputs: Mapping[str, Column]
    pack: Structure
    targets: Mapping[str, Column]
    pack_targets: Structure
    items: Index
    held_out: Index
    batch_size: int
    seed: int

    @classmethod
    def of(
        cls, model: Any, training: Training, held_out: int = 0, targets: Array | None = None
    ) -> Feed:
        """Feed a model with the items of a training, and build one that was not yet called.

        So many items are ``held_out``, chosen by the seed. ``targets`` ``[N, ...]`` take the place
        of the labels. Raises :class:`DataError` where items do not fit the model, or where there
        are no labels.
        """
        dataset, preprocess = training.dataset, training.preprocess
        inputs = inputs_of(model, described(dataset, preprocess))
        arrays = match(dataset, inputs.specs, preprocess).inputs
        columns = {
            spec.name: _input(np.load(arrays[spec.name], mmap_mode="r"), spec, preprocess)
            for spec in inputs.specs
        }
        labels, structure = _labels(model, dataset, targets)
        order = np.random.default_rng(training.seed).permutation(dataset.count)
        feed = cls(
            inputs=columns,
            pack=inputs.pack,
            targets=labels,
            pack_targets=structure,
            items=np.sort(order[held_out:]),
            held_out=np.sort(order[:held_out]),
            batch_size=training.batch_size,
            seed=training.seed,
        )
        _build(model, feed)
        return feed

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

        Each is ``(x, y)``. Every epoch has all items once, in an order of its own: item ``i`` of
        epoch ``e`` is ``tf.random.experimental.index_shuffle(i, (seed, e))``.
        """
        import tensorflow as tf

        items = tf.constant(self.items)

        def chosen(number: Any) -> Any:
            epoch, within = number // self.steps_per_epoch, number % self.steps_per_epoch
            start = within * self.batch_size
            places = tf.range(start, tf.minimum(start + self.batch_size, self.count))
            seed = tf.cast(tf.stack([self.seed % (1 << 31), epoch]), tf.int32)
            most = tf.constant(self.count - 1, tf.int64)
            return tf.gather(
                items, tf.random.experimental.index_shuffle(places, seed=seed, max_index=most)
            )

        return self._read(tf.data.Dataset.range(step, epochs * self.steps_per_epoch).map(chosen))

    def validation(self) -> Any | None:
        """Return a ``tf.data.Dataset`` of the items held out, in their order; None without any."""
        import tensorflow as tf

        if not len(self.held_out):
            return None
        return self._read(tf.data.Dataset.from_tensor_slices(self.held_out).batch(self.batch_size))

    def _read(self, chosen: Any) -> Any:
        """Read the rows that a dataset of item numbers names, ahead of the step."""
        import tensorflow as tf

        columns = [*self.inputs.values(), *self.targets.values()]
        firsts = [column.first for column in columns]
        dtypes = [first.dtype for first in firsts]

        def rows(index: Index) -> list[Array]:
            return [column.prepare(column.rows[index]) for column in columns]

        def read(index: Any) -> Any:
            tensors = tf.numpy_function(rows, [index], dtypes, stateful=False)
            for tensor, first in zip(tensors, firsts, strict=True):
                tensor.set_shape((None, *first.shape[1:]))
            x = dict(zip(self.inputs, tensors, strict=False))
            y = dict(zip(self.targets, tensors[len(x) :], strict=True))
            return _tuples(self.pack(x)), self.pack_targets(y)

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


def _input(rows: Array, spec: TensorSpec, preprocess: Preprocess) -> Column:
    return Column(rows, lambda raw: np.ascontiguousarray(apply(raw, spec, preprocess)))


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


def _build(model: Any, feed: Feed) -> None:
    """Make the variables of a model that was not yet called: saved state needs them to exist."""
    if getattr(model, "built", True):
        return
    first = feed.pack({name: column.first for name, column in feed.inputs.items()})
    if isinstance(model, library(model).Sequential):
        model.build((None, *first.shape[1:]))
    else:
        model(first)
