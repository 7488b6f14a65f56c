"""How long a training waits for its data."""

from __future__ import annotations

from typing import Any


class InputClock:
    """Counts the seconds that steps wait for batches of the datasets it is put around."""

    def __init__(self) -> None:
        import tensorflow as tf

        self._waited = tf.Variable(0.0, dtype=tf.float64, trainable=False, name="waited")

    @property
    def waited(self) -> float:
        """Seconds waited so far."""
        return float(self._waited.numpy())

    def around(self, dataset: Any) -> Any:
        """Return the same batches, each timed from when it is asked for until it is there."""
        import tensorflow as tf

        # A zip asks its parts in turn, in the thread of who asks it: before, batch, after.
        before = tf.data.Dataset.counter().map(lambda _: tf.timestamp())
        after = tf.data.Dataset.counter().map(lambda _: tf.timestamp())

        def count(begin: Any, batch: Any, end: Any) -> Any:
            self._waited.assign_add(end - begin)
            return batch

        return tf.data.Dataset.zip(before, dataset, after).map(count)
