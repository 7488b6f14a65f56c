"""The batches of a training, each divided among replicas: every one reads its own part."""

from __future__ import annotations

import dataclasses
from typing import Any

from edgekit.errors import ProjectError
from edgekit.training.feed import Feed


def divided(feed: Feed, strategy: Any, weighed: bool = True) -> Feed:
    """Return the same feed, whose batches a strategy's replicas share.

    Of ``n`` items of a batch replica ``p`` of ``R`` has those from ``p * n // R`` on: each item is
    in one part. Where parts differ in size, items are ``weighed`` as :func:`parts` says. Raises
    :class:`ProjectError` where a part would be empty.
    """
    replicas = strategy.num_replicas_in_sync
    sizes = _sizes(feed)
    if min(sizes) < replicas:
        message = (
            f"a batch of {min(sizes)} items cannot be divided among {replicas} replicas"
            f" ({feed.count:,} items to train on, batch_size = {feed.batch_size})"
        )
        hint = "take another batch_size: what is left of the items for the last batch counts too"
        raise ProjectError("EK-TRAIN-026", message, hint)

    class Divided(type(feed)):  # type: ignore[misc]
        """The same items, a replica's part at a time."""

        @property
        def whole(self) -> Feed:
            return feed

        def batches(self, step: int, epochs: int) -> Any:
            return strategy.distribute_datasets_from_function(
                lambda context: parts(self, step, epochs, replicas, context, weighed)
            )

        @property
        def validation_steps(self) -> int:
            return _validation_batches(self, replicas)

        def validation(self) -> Any | None:
            if not len(self.held_out):
                return None
            return strategy.distribute_datasets_from_function(
                lambda context: validation_parts(self, replicas, context)
            )

    names = [one.name for one in dataclasses.fields(feed)]
    return Divided(**{name: getattr(feed, name) for name in names})


def _sizes(feed: Feed) -> set[int]:
    """Return how many items the batches of an epoch have."""
    last = feed.count % feed.batch_size
    return {size for size in (min(feed.batch_size, feed.count), last) if size}


def _own(number: Any, replicas: int, context: Any) -> tuple[Any, Any]:
    """Return which batch, and which part of it, the element of this worker's data is."""
    local = replicas // context.num_input_pipelines
    return number // local, context.input_pipeline_id * local + number % local


def _bounds(part: Any, count: Any, replicas: int) -> tuple[Any, Any]:
    return part * count // replicas, (part + 1) * count // replicas


def parts(
    feed: Feed, step: int, epochs: int, replicas: int, context: Any, weighed: bool = True
) -> Any:
    """Return the parts of a worker of the batches from a step on, as ``context`` says it.

    Losses are means of a replica's items: in a batch of uneven parts items weigh so that the mean
    of the replicas is that of all items, unless somebody else sees to that.
    """
    import tensorflow as tf

    whole = feed.order()
    local = replicas // context.num_input_pipelines

    def chosen(number: Any) -> Any:
        batch, part = _own(number, replicas, context)
        items = whole(batch)
        begin, end = _bounds(part, tf.shape(items, tf.int64)[0], replicas)
        return items[begin:end]

    def changed(change: Any) -> Any:
        def own(batch: Any, number: Any) -> Any:
            step, part = _own(number, replicas, context)
            return change(batch, step * replicas + part)

        return own

    numbers = tf.data.Dataset.range(step * local, epochs * feed.steps_per_epoch * local)
    numbers = _of_coordinated(numbers)
    changes = {name: changed(change) for name, change in feed.changes.items()}
    data = feed._read(numbers, chosen, feed.columns, changes)
    if not weighed or not any(size % replicas for size in _sizes(feed)):
        return data

    def weigh(number: Any, content: Any) -> Any:
        batch, part = _own(number, replicas, context)
        count = tf.minimum(
            tf.constant(feed.batch_size, tf.int64),
            feed.count - batch % feed.steps_per_epoch * feed.batch_size,
        )
        begin, end = _bounds(part, count, replicas)
        factor = tf.cast((end - begin) * replicas, tf.float32) / tf.cast(count, tf.float32)
        x, y, *given = content
        if given:
            return x, y, tf.nest.map_structure(lambda w: w * factor, given[0])
        ones = tf.fill(tf.reshape(end - begin, (1,)), factor)
        return x, y, feed.pack_targets(dict.fromkeys(feed.columns.targets, ones))

    return tf.data.Dataset.zip(numbers, data).map(weigh)


def _of_coordinated(numbers: Any) -> Any:
    """Return the numbers of batches as the worker takes them that a coordinator asks for them; they
    stay as they are where there is none.
    """
    import tensorflow as tf

    strategy = tf.distribute.get_strategy()
    if not isinstance(strategy, tf.distribute.ParameterServerStrategy):
        return numbers
    workers = strategy._num_workers
    worker = tf.distribute.coordinator.experimental_get_current_worker_index()
    return in_turn(numbers, worker, workers)


def in_turn(numbers: Any, worker: Any, workers: int) -> Any:
    """Return numbers in the order of one of several workers: first those that are its own, of which
    no other begins with any, then those of the next worker, and so on to the last.
    """
    order = numbers.shard(workers, worker)
    for others in range(1, workers):
        order = order.concatenate(numbers.shard(workers, (worker + others) % workers))
    return order


def _validation_batches(feed: Feed, replicas: int) -> int:
    """Count batches of which each has an item for each replica; one where there are too few."""
    count = len(feed.held_out)
    return max(1, min(-(-count // feed.batch_size), count // replicas))


def validation_parts(feed: Feed, replicas: int, context: Any) -> Any:
    """Return the parts of a worker of the items held out, again and again.

    Where there are fewer than replicas, each has all of them.
    """
    import tensorflow as tf

    items, count = tf.constant(feed.held_out, tf.int64), len(feed.held_out)
    local = replicas // context.num_input_pipelines
    batches, few = _validation_batches(feed, replicas), count < replicas

    def chosen(number: Any) -> Any:
        if few:
            return items
        batch, part = _own(number, replicas, context)
        # Batches of sizes that differ by one: none is too small to be divided.
        first, last = _bounds(batch, count, batches)
        begin, end = _bounds(part, last - first, replicas)
        return items[first + begin : first + end]

    # Keras 3 goes on in it after each epoch.
    numbers = _of_coordinated(tf.data.Dataset.range(batches * local)).repeat()
    return feed._read(numbers, chosen, feed.held_out_columns, {})
