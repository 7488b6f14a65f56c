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
from edgekit.data.preprocessing import factors, item_shape
from edgekit.errors import DataError
from edgekit.evaluation.boxes import BoxSpec
from edgekit.evaluation.texts import TextSpec, reader
from edgekit.models.inputs import inputs_of
from edgekit.models.load import library
from edgekit.training.augment import Augmentation, Change, changes
from edgekit.training.columns import Column, Columns, mapped
from edgekit.training.heads import Head
from edgekit.training.texts import numbered
from edgekit.types import Preprocess, TensorSpec

Array = npt.NDArray[Any]
Index = npt.NDArray[np.int64]
# How many items tell what the labels and the outputs look like.
FEW = 256
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
    """Labelled items to train on, how to scale them, and how to fit.

    ``judged`` is what the model is judged by afterwards: its shape is looked at beforehand.
    ``task`` is the one that is stated for them; without it, it is detected. ``texts`` says how
    labels that are texts are read, ``boxes`` how a detector's outputs are.
    """

    dataset: Dataset
    preprocess: Preprocess
    epochs: int
    batch_size: int
    seed: int
    aside: Aside = Aside()
    weights: Weights = Weights()
    augmentation: Augmentation | None = None
    judged: Dataset | None = None
    task: str | None = None
    texts: TextSpec | None = None
    boxes: BoxSpec | None = None


@dataclass(frozen=True)
class Feed:
    """The items of a training in batches, and those held out of it.

    ``pack`` and ``pack_targets`` turn tensors by name into the model's argument and its labels.
    ``items`` are numbers of rows of ``columns``, ``held_out`` of ``held_out_columns``. Nothing but
    the rows of a few batches is held in memory. ``head`` is that of a detector that is trained by
    its task's loss.
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
    task: str | None = None
    texts: TextSpec | None = None
    boxes: BoxSpec | None = None
    head: Head | None = None

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
        items, aside = division(training, held_out)
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
            task=training.task,
            texts=training.texts,
            boxes=training.boxes,
        )

    @property
    def whole(self) -> Feed:
        """The same feed as a process alone reads it."""
        return self

    @property
    def count(self) -> int:
        """How many items an epoch has."""
        return len(self.items)

    @property
    def steps_per_epoch(self) -> int:
        """How many batches an epoch has; the last may be smaller."""
        return -(-self.count // self.batch_size)

    @property
    def validation_steps(self) -> int | None:
        """How many batches the items held out are in; None where their dataset knows."""
        return None

    def batches(self, step: int, epochs: int) -> Any:
        """Return a ``tf.data.Dataset`` of the batches from a global step to the end.

        Each is ``(x, y)``, or ``(x, y, weights)`` where items weigh differently. Every epoch has
        all items once, in an order of its own: item ``i`` of epoch ``e`` is
        ``tf.random.experimental.index_shuffle(i, (seed, e))``.
        """
        import tensorflow as tf

        steps = tf.data.Dataset.range(step, epochs * self.steps_per_epoch)
        return self._read(steps, self.order(), self.columns, self.changes)

    def few(self) -> Index:
        """Return the numbers of a few items, evenly from all: what labels look like they tell."""
        return self.items[:: max(1, len(self.items) // FEW)][:FEW]

    def validated_on(self, most: int) -> Feed:
        """Return the same feed with so many of the items held out at most, evenly from all."""
        return replace(self, held_out=self.held_out[:: max(1, -(-len(self.held_out) // most))])

    def order(self) -> Callable[[Any], Any]:
        """Return a function from the number of a step to those of its items."""
        import tensorflow as tf

        items = tf.constant(self.items)

        def chosen(number: Any) -> Any:
            epoch, within = number // self.steps_per_epoch, number % self.steps_per_epoch
            start = within * self.batch_size
            places = tf.range(start, tf.minimum(start + self.batch_size, self.count))
            seed = tf.cast(tf.stack([self.seed % (1 << 31), epoch]), tf.int32)
            most = tf.constant(self.count - 1, tf.int64)
            shuffled = tf.random.experimental.index_shuffle(places, seed=seed, max_index=most)
            return tf.gather(items, shuffled)

        return chosen

    def validation(self) -> Any | None:
        """Return a ``tf.data.Dataset`` of the items held out, in their order; None without any."""
        import tensorflow as tf

        if not len(self.held_out):
            return None
        items, count = tf.constant(self.held_out), len(self.held_out)

        def chosen(number: Any) -> Any:
            start = number * self.batch_size
            return items[start : tf.minimum(start + self.batch_size, count)]

        steps = tf.data.Dataset.range(-(-count // self.batch_size))
        return self._read(steps, chosen, self.held_out_columns, {})

    def rows(self, index: Index) -> tuple[Any, Any]:
        """Read items to train on by their numbers, as arrays in the structure of a batch."""
        x = {name: one.some(index) for name, one in self.columns.inputs.items()}
        y = {name: one.some(index) for name, one in self.columns.targets.items()}
        return self.pack(x), self.pack_targets(y)

    def held_out_labels(self) -> Any:
        """Read the labels of the items held out, in their order."""
        targets = self.held_out_columns.targets.items()
        y = {name: one.some(self.held_out) for name, one in targets}
        return self.pack_targets(y)

    def _read(
        self,
        steps: Any,
        chosen: Callable[[Any], Any],
        of: Columns,
        changed: Mapping[str, Change],
    ) -> Any:
        """Read the rows whose numbers are ``chosen`` at each step, ahead of the training."""
        import tensorflow as tf

        columns = (*of.inputs.values(), *of.targets.values(), *of.weights)
        readers = [column.reader() for column in columns]

        def read(step: Any) -> Any:
            index = chosen(step)
            tensors = [
                column.prepare(reader(index))
                for column, reader in zip(columns, readers, strict=True)
            ]
            x = dict(zip(of.inputs, tensors, strict=False))
            x |= {name: change(x[name], step) for name, change in changed.items()}
            y = dict(zip(of.targets, tensors[len(x) :], strict=False))
            batch = (_tuples(self.pack(x)), self.pack_targets(y))
            if not of.weights:
                return batch
            return *batch, self.pack_targets(dict.fromkeys(y, tensors[-1]))

        options = tf.data.Options()
        # They would copy the files that are mapped into memory, and there is nothing to gain.
        options.experimental_optimization.apply_default_optimizations = False
        parallel = steps.map(read, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        return parallel.prefetch(tf.data.AUTOTUNE).with_options(options)


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
        spec.name: _input(mapped(arrays[spec.name]), spec, training.preprocess) for spec in specs
    }
    labels, structure = _labels(model, dataset, targets, training.texts)
    return Columns(inputs, labels), structure


def _input(rows: Array, spec: TensorSpec, preprocess: Preprocess) -> Column:
    """Return a column that computes what :func:`edgekit.data.preprocessing.apply` does."""
    import tensorflow as tf

    shape = item_shape(rows.shape, spec)
    scale, offset = factors(rows.shape, preprocess)

    def prepare(raw: Any) -> Any:
        items = raw if preprocess.identity else tf.cast(raw, tf.float32) * scale
        # Small batches take as long as they have operators.
        items = items + offset if offset.any() else items
        items = tf.reshape(items, (-1, *shape)) if shape != rows.shape[1:] else items
        return tf.cast(items, spec.dtype)

    return Column(rows, prepare)


def division(training: Training, held_out: int) -> tuple[Index, Index]:
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
    return replace(columns, weights=(Column(found, lambda weights: weights),))


def _tuples(structure: Any) -> Any:
    """Return a structure with tuples for lists, which tf.data takes for one tensor."""
    if isinstance(structure, Mapping):
        return {name: _tuples(value) for name, value in structure.items()}
    if isinstance(structure, (list, tuple)):
        return tuple(_tuples(value) for value in structure)
    return structure


def _labels(
    model: Any, dataset: Dataset, targets: Array | None, texts: TextSpec | None
) -> tuple[Mapping[str, Column], Structure]:
    """Return the labels' columns, and their structure: one array, or a dict by output."""
    outputs = [str(name) for name in getattr(model, "output_names", None) or []]
    beside = dataset.beside or {}
    if targets is None and dataset.labels is None and outputs and set(outputs) <= set(beside):
        return {n: Column(mapped(beside[n]), _as_keras) for n in outputs}, dict
    if targets is None:
        targets = _only_labels(model, dataset, texts)
    return {LABELS: Column(targets, _as_keras)}, lambda tensors: tensors[LABELS]


def _only_labels(model: Any, dataset: Dataset, texts: TextSpec | None) -> Array:
    """Return the labels in one array; strings become token numbers ``[N, length]``, where they are
    texts.

    Raises :class:`DataError` for strings where they are none, or the model's outputs are not known.
    """
    path = dataset.labels
    if path is None:
        return dataset.open_labels()
    spelled = np.load(path, mmap_mode="r")
    if spelled.dtype.kind != "U":
        return mapped(path)
    if texts is None:
        # It says what is wrong with them.
        return dataset.open_labels()
    outputs = getattr(model, "outputs", None)
    if not outputs:
        message = f"{dataset.source}: labels are texts, and how many tokens the model scores is"
        hint = "build it with an Input, or give labels as token numbers [N, length], padded with -1"
        raise DataError("EK-DATA-067", f"{message} not known before it is called", hint)
    sizes = tuple(outputs[0].shape[1:])
    return numbered(spelled, reader(texts, sizes, "", spelled), dataset.source)


def _as_keras(labels: Any) -> Any:
    """Return labels as Keras takes arrays: floats as float32, integers as they are."""
    import tensorflow as tf

    return tf.cast(labels, tf.float32) if np.dtype(labels.dtype.name).kind == "f" else labels


def _build(model: Any, first: Any) -> None:
    """Make the variables of a model that was not yet called: saved state needs them to exist."""
    if getattr(model, "built", True):
        return
    if isinstance(model, library(model).Sequential):
        model.build((None, *first.shape[1:]))
    else:
        model(first)
