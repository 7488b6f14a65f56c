"""Where the pipeline of a training waits: the time of each of its parts. Runs in the worker."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edgekit.data import Dataset
from edgekit.errors import DataError
from edgekit.training.feed import Feed, Training
from edgekit.types import Json, TensorSpec

# Batches that are timed at most, after so many that are not, and seconds that a part may take.
BATCHES, WARM = 100, 10
SECONDS = 2.0


def measure(training: Training, specs: tuple[TensorSpec, ...]) -> Mapping[str, Json]:
    """Time the pipeline's parts by themselves, and all of it as training runs it.

    ``parts`` are milliseconds per batch, each part alone on one thread; ``whole`` is that of the
    pipeline, whose parts run in parallel and ahead. ``slowest`` names a part.
    """
    import tensorflow as tf

    feed = Feed.of(_identity(specs), training, targets=_labels(training.dataset))
    columns = (*feed.columns.inputs.values(), *feed.columns.targets.values())
    readers = [column.reader() for column in columns]
    order = tf.function(feed.order())
    read = tf.function(lambda index: [reader(index) for reader in readers])
    preprocess = tf.function(
        lambda rows: [c.prepare(row) for c, row in zip(columns, rows, strict=True)]
    )
    changes = list(feed.changes.items())
    places = {name: place for place, name in enumerate(feed.columns.inputs)}
    augment = tf.function(
        lambda step, items: [change(items[places[name]], step) for name, change in changes]
    )
    # Steps count on over epochs: few items are read several times.
    numbers = [tf.constant(step, tf.int64) for step in range(BATCHES)]
    chosen = [order(number) for number in numbers]
    rows = read(chosen[0])
    items = preprocess(rows)
    parts = {
        "order": _milliseconds(lambda at: order(numbers[at])),
        "read": _milliseconds(lambda at: read(chosen[at])),
        "preprocess": _milliseconds(lambda _: preprocess(rows)),
    }
    if changes:
        parts["augment"] = _milliseconds(lambda at: augment(numbers[at], items))
    return {
        "batch_size": training.batch_size,
        "parts": {name: round(value, 4) for name, value in parts.items()},
        "slowest": max(parts, key=lambda name: parts[name]),
        "whole": round(_whole(feed), 4),
    }


def _milliseconds(run: Callable[[int], Any]) -> float:
    """Return the median milliseconds of a part, when it is warm."""
    for step in range(WARM):
        run(step)
    times = []
    end = time.perf_counter() + SECONDS
    for step in range(BATCHES):
        begin = time.perf_counter()
        run(step)
        times.append(time.perf_counter() - begin)
        if begin > end:
            break
    return 1000 * float(np.median(times))


def _whole(feed: Feed) -> float:
    """Return the milliseconds per batch of the whole pipeline, when it is warm."""
    batches = iter(feed.batches(0, 1 + (WARM + BATCHES) // feed.steps_per_epoch))
    for _ in range(WARM):
        next(batches)
    begin, count = time.perf_counter(), 0
    while count < BATCHES and time.perf_counter() < begin + SECONDS:
        next(batches)
        count += 1
    return 1000 * (time.perf_counter() - begin) / count


def _identity(specs: tuple[TensorSpec, ...]) -> Any:
    """Build a model that takes the items as they are."""
    import keras

    inputs = [keras.Input(spec.shape[1:], name=spec.name, dtype=spec.dtype) for spec in specs]
    return keras.Model(inputs, [keras.layers.Identity()(one) for one in inputs])


def _labels(dataset: Dataset) -> Any:
    """Return labels for data that has none, or none but texts; None where it has its own."""
    try:
        dataset.open_labels()
    except DataError:
        return np.zeros(dataset.count, np.int64)
    return None
